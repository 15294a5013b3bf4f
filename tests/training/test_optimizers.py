"""SGD against torch's, and GSAM's step against its definition, written out by hand."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datm_engine.training.optimizers import gsam_direction, sgd_step

CURVATURE = torch.tensor([[3.0, 1.0, 0.0], [1.0, 2.0, 0.5], [0.0, 0.5, 1.0]], dtype=torch.float64)


def slope(theta: Tensor) -> Tensor:
    """Of ½ θᵀ C θ + Σ sin θ."""
    return CURVATURE @ theta + theta.cos()


def test_gsam_direction_is_its_definition() -> None:
    theta, rho, alpha = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64), 0.2, 0.3
    g0 = slope(theta)
    ascent = rho * theta**2 * g0 / (torch.sqrt(((theta.abs() * g0) ** 2).sum()) + 1e-12)
    g1 = slope(theta + ascent)
    orthogonal = g0 - g1 * (g0 @ g1) / (g1 @ g1)
    assert abs(float(orthogonal @ g1)) < 1e-12
    assert float(orthogonal.norm()) > 1e-3

    found = gsam_direction(theta, slope, rho=rho, alpha=alpha)
    assert torch.allclose(found, g1 - alpha * orthogonal, rtol=1e-12, atol=0)
    assert abs(float(ascent[1])) > abs(float(ascent[2]))  # adaptive: larger weights move further


def test_gsam_asks_for_two_gradients_and_without_rho_is_sgd() -> None:
    asked: list[Tensor] = []

    def counted(theta: Tensor) -> Tensor:
        asked.append(theta)
        return slope(theta)

    theta = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    assert torch.allclose(gsam_direction(theta, counted, rho=0.0, alpha=0.3), slope(theta))
    assert len(asked) == 2


@pytest.mark.parametrize(("momentum", "decay"), [(0.0, 0.0), (0.9, 0.0), (0.0, 5e-4), (0.9, 5e-4)])
def test_sgd_is_torchs(momentum: float, decay: float) -> None:
    theta = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    parameter = torch.nn.Parameter(theta.clone())
    theirs = torch.optim.SGD([parameter], lr=0.05, momentum=momentum, weight_decay=decay)
    velocity = torch.zeros_like(theta)
    for _ in range(5):
        theta, velocity = sgd_step(theta, slope(theta), velocity, 0.05, momentum, decay)
        parameter.grad = slope(parameter.detach())
        theirs.step()
    assert torch.allclose(theta, parameter.detach(), rtol=1e-12, atol=0)
