"""The convolution that students and experts share, in every precision."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from datm_engine.networks import convolution
from datm_engine.networks.convolution import Convolution


@pytest.fixture
def rounded() -> Convolution:
    torch.manual_seed(0)
    return Convolution(3, 8).to(torch.bfloat16)


def test_without_kernels_bfloat16_is_float32_on_rounded_numbers(
    rounded: Convolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(convolution, "CPU_HAS_BFLOAT16", False)
    images = torch.randn(4, 3, 8, 8).to(torch.bfloat16)
    assert rounded.bias is not None
    exact = F.conv2d(images.float(), rounded.weight.float(), rounded.bias.float(), padding=1)
    assert torch.equal(rounded(images), exact.to(torch.bfloat16))


def test_without_kernels_second_derivatives_go_through(
    rounded: Convolution, monkeypatch: pytest.MonkeyPatch
) -> None:
    """⟨∂/∂w ½‖x∗w‖², v⟩ is linear in x∗v: its derivative by x is that of ⟨x∗w, x∗v⟩."""
    monkeypatch.setattr(convolution, "CPU_HAS_BFLOAT16", False)
    assert rounded.bias is not None
    rounded.bias.data.zero_()
    images = torch.randn(2, 3, 8, 8, requires_grad=True)
    direction = torch.randn_like(rounded.weight)
    (by_weight,) = torch.autograd.grad(
        rounded(images.to(torch.bfloat16)).float().square().sum() / 2,
        rounded.weight,
        create_graph=True,
    )
    (found,) = torch.autograd.grad((by_weight * direction).float().sum(), images)
    maps = [F.conv2d(images, w.float(), padding=1) for w in (rounded.weight, direction)]
    (wanted,) = torch.autograd.grad((maps[0] * maps[1]).sum(), images)
    assert F.cosine_similarity(found.flatten(), wanted.flatten(), dim=0) > 0.999
    assert float(found.norm() / wanted.norm()) == pytest.approx(1, abs=0.01)


def test_derivatives_of_the_compiled_convolution_are_those_of_the_plain_one() -> None:
    """In float64 and without a compiler: by images and weight, first and second, against finite
    differences; and the maps themselves."""
    draws = torch.Generator().manual_seed(0)
    images = torch.randn(2, 2, 5, 4, dtype=torch.float64, generator=draws, requires_grad=True)
    weight = torch.randn(3, 2, 3, 3, dtype=torch.float64, generator=draws, requires_grad=True)
    given = images, weight
    torch.testing.assert_close(convolution._bilinear(*given), F.conv2d(*given, padding=1))
    assert torch.autograd.gradcheck(convolution._bilinear, given)
    assert torch.autograd.gradgradcheck(convolution._bilinear, given)
