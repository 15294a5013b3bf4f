"""Images, labels and rate take a step together, or none of them does."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from datm_engine.distillation.learned import Learned, Optimizer
from datm_engine.runs.events import SkipReason
from datm_engine.settings.config import Config

RATES = {"lr_images": 10.0, "lr_labels": 2.0, "lr_lr": 0.1, "momentum_images": 0.5}


def values(images: float = 1.0, labels: float = 1.0, syn_lr: float = 1.0) -> Learned:
    return Learned(*(torch.tensor([value]) for value in (images, labels, syn_lr)))


@pytest.fixture
def optimizer(make_config: Callable[..., Config]) -> Optimizer:
    none = {"momentum_labels": 0.0, "momentum_lr": 0.0}
    return Optimizer(make_config(distill={**RATES, **none}).distill)


def test_each_part_has_a_rate_and_a_momentum_of_its_own(optimizer: Optimizer) -> None:
    learned, expected = values(), {"images": 1.0, "labels": 1.0, "syn_lr": 1.0}
    velocity = 0.0
    for _ in range(3):
        step = optimizer.step(learned, values(0.25, 0.25, 0.25))
        assert not isinstance(step, SkipReason)
        learned, optimizer.velocities = step
        velocity = 0.5 * velocity + 0.25
        expected["images"] -= 10.0 * velocity
        expected["labels"] -= 2.0 * 0.25
        expected["syn_lr"] -= 0.1 * 0.25
        assert vars(learned) == {
            name: pytest.approx(torch.tensor([value])) for name, value in expected.items()
        }
    assert set(optimizer.velocities) == {"images"}


def test_hard_labels_stay(make_config: Callable[..., Config]) -> None:
    optimizer = Optimizer(make_config(distill={**RATES, "labels": "hard"}).distill)
    step = optimizer.step(values(), values())
    assert not isinstance(step, SkipReason)
    assert float(step[0].labels) == 1.0


@pytest.mark.parametrize(
    ("gradient", "reason"),
    [
        (values(images=float("nan")), SkipReason.GRADIENT_NOT_FINITE),
        (values(labels=float("inf")), SkipReason.GRADIENT_NOT_FINITE),
        (values(syn_lr=float("nan")), SkipReason.GRADIENT_NOT_FINITE),
        (values(images=3e38), SkipReason.IMAGES_INFINITE),
        (values(labels=3e38), SkipReason.LABELS_INFINITE),
        (values(syn_lr=10.0), SkipReason.RATE_NEGATIVE),
        (values(syn_lr=1e3), SkipReason.RATE_NEGATIVE),
    ],
)
def test_a_step_that_must_not_be_taken_changes_nothing(
    gradient: Learned, reason: SkipReason, optimizer: Optimizer
) -> None:
    velocities: dict[str, Tensor] = {"images": torch.ones(1)}
    optimizer.velocities, learned = dict(velocities), values()
    assert optimizer.step(learned, gradient) is reason
    assert optimizer.velocities == velocities
    assert vars(learned) == vars(values())


def test_a_rate_that_becomes_infinite_is_named(make_config: Callable[..., Config]) -> None:
    settings = make_config(distill={**RATES, "lr_lr": 1e38}).distill
    assert Optimizer(settings).step(values(), values(syn_lr=-1e3)) is SkipReason.RATE_INFINITE
