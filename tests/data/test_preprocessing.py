"""Whitening and normalisation against their definitions."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data import preprocessing
from datm_engine.data.prepared import prepare
from datm_engine.data.preprocessing import Normalization, Whitening, to_unit
from datm_engine.runs.events import ignore
from tests.conftest import tiny_config


def images(n: int, *, channels: int = 3, size: int = 4, seed: int = 0) -> Tensor:
    """Smooth random uint8 images: neighbouring pixels are correlated."""
    noise = torch.rand(n, channels, size + 2, size + 2, generator=generator(seed, n))
    smooth = torch.nn.functional.avg_pool2d(noise, 3, stride=1)
    return (smooth * 255).round().to(torch.uint8)


@pytest.mark.parametrize("n", [200, 49, 20], ids=["more", "as many + 1", "fewer than pixels"])
def test_whitening_is_its_definition(n: int) -> None:
    """W = U (S + ε)^(−½) Uᵀ with U S Uᵀ the covariance of the training images, in float64."""
    train, epsilon = images(n), 0.1
    flat = to_unit(train, torch.float64).flatten(1)
    mean = flat.mean(0)
    covariance = (flat - mean).T @ (flat - mean) / (n - 1)
    variances, basis = torch.linalg.eigh(covariance)
    whitener = basis @ torch.diag((variances + epsilon).rsqrt()) @ basis.T

    found = Whitening.fit(train, epsilon)
    for shown in (train, images(7, seed=1), images(300, seed=2)):  # seen, few unseen, many unseen
        expected = (to_unit(shown, torch.float64).flatten(1) - mean) @ whitener
        ours = found.apply(to_unit(shown)).flatten(1).double()
        assert float((ours - expected).abs().max()) < 2e-5


def test_whitened_training_images_have_shrunk_variances() -> None:
    """Along each component the variance s becomes s / (s + ε)."""
    train, epsilon = images(500), 0.001
    whitening = Whitening.fit(train, epsilon)
    seen = whitening.apply(to_unit(train)).flatten(1).double()
    along = (seen - seen.mean(0)) @ whitening.components.double().T
    expected = (whitening.variances / (whitening.variances + epsilon)).double()
    assert torch.allclose(along.var(0), expected, rtol=1e-3)
    assert float(expected.max()) > 0.8


@pytest.mark.parametrize("n", [200, 20])
@pytest.mark.parametrize("kind", ["zca", "normalize"])
def test_invert_undoes_apply(kind: str, n: int) -> None:
    fitted = preprocessing.fit(kind, images(n), 0.1)
    for shown in (images(n), images(9, seed=1)):
        unit = to_unit(shown)
        assert torch.allclose(fitted.invert(fitted.apply(unit)), unit, atol=1e-5)


@pytest.mark.parametrize("n", [200, 20])
def test_parts_of_a_dataset_are_whitened_as_the_whole(
    n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    fitted, unit = Whitening.fit(images(n), 0.1), to_unit(images(n), torch.float64)
    whole = fitted.apply(unit)
    monkeypatch.setattr(preprocessing, "PART", 7)
    assert torch.allclose(fitted.apply(unit), whole, rtol=1e-12, atol=1e-12)
    assert torch.allclose(fitted.invert(whole), unit, atol=1e-5)


def test_a_dataset_is_preprocessed_exactly(
    data_dir: Path, cpu: Runtime, finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the precision: the set's own preprocessing, elsewhere, is to give the same."""
    exactly: list[bool] = []
    applied: list[bool] = []

    @contextmanager
    def exact(_: Runtime) -> Iterator[None]:
        exactly.append(True)
        yield
        exactly.pop()

    def apply(self: Whitening, unit: Tensor) -> Tensor:
        applied.append(bool(exactly))
        return unit

    monkeypatch.setattr(Runtime, "exact", exact)
    monkeypatch.setattr(Whitening, "apply", apply)
    whitened = tiny_config(dataset={"preprocessing": "zca"}).dataset
    prepare(whitened, data_dir, cpu, emit=ignore)
    assert applied == [True, True, True]


def test_normalization_is_per_channel() -> None:
    train = images(100)
    train[:, 1] //= 4
    seen = Normalization.fit(train).apply(to_unit(train, torch.float64))
    assert torch.allclose(seen.mean((0, 2, 3)), torch.zeros(3, dtype=torch.float64), atol=1e-5)
    assert torch.allclose(
        seen.std((0, 2, 3), correction=0), torch.ones(3, dtype=torch.float64), atol=1e-5
    )


@pytest.mark.parametrize("kind", ["zca", "normalize"])
def test_what_is_described_is_restored(kind: str) -> None:
    fitted = preprocessing.fit(kind, images(60), 0.05)
    restored = preprocessing.restore(preprocessing.describe(fitted), fitted.tensors())
    unit = to_unit(images(5, seed=3))
    assert torch.equal(restored.apply(unit), fitted.apply(unit))
