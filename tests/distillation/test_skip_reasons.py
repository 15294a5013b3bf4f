"""Steps that must not be taken, and the setting that helps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from datm_engine.distillation.learned import Learned
from datm_engine.distillation.skip_reasons import suggested_setting
from datm_engine.errors import ConfigError
from datm_engine.hints import fix_text
from datm_engine.runs.events import SkipReason
from datm_engine.settings.config import Config

Make = Callable[..., Config]


def learned(**values: float) -> Learned:
    plain = {"images": 1.0, "labels": 1.0, "syn_lr": 0.01, **values}
    return Learned(**{name: torch.tensor([value]) for name, value in plain.items()})


@pytest.mark.parametrize(
    ("reason", "now", "loss", "expected"),
    [
        (SkipReason.LOSS_ABOVE_THRESHOLD, {}, 1.02, "threshold=1.12"),
        (SkipReason.LOSS_ABOVE_THRESHOLD, {}, 50.0, "syn_lr=0.005"),
        (SkipReason.LOSS_ABOVE_THRESHOLD, {"syn_lr": 0.5}, 50.0, "lr_lr=1e-06"),
        (SkipReason.LOSS_ABOVE_THRESHOLD, {"images": 1e6}, 50.0, "lr_images=10"),
        (SkipReason.LOSS_NOT_FINITE, {}, None, "syn_lr=0.005"),
        (SkipReason.LOSS_NOT_FINITE, {"syn_lr": 9.0}, None, "lr_lr=1e-06"),
        (SkipReason.LOSS_NOT_FINITE, {"images": 1e30}, None, "lr_images=10"),
        (SkipReason.LOSS_NOT_FINITE, {"labels": 1e30}, None, "lr_labels=0.2"),
        (SkipReason.GRADIENT_NOT_FINITE, {}, 0.9, "syn_lr=0.005"),
        (SkipReason.RATE_NEGATIVE, {}, 0.9, "lr_lr=1e-06"),
        (SkipReason.IMAGES_INFINITE, {}, 0.9, "lr_images=10"),
        (SkipReason.LABELS_INFINITE, {}, 0.9, "lr_labels=0.2"),
        (SkipReason.RATE_INFINITE, {}, 0.9, "lr_lr=1e-06"),
    ],
)
def test_the_advice_fits_the_reason(
    reason: SkipReason, now: dict[str, float], loss: float | None, expected: str, make_config: Make
) -> None:
    rates = {"syn_lr": 0.01, "lr_lr": 1e-5, "lr_images": 100.0, "lr_labels": 2.0}
    settings = make_config(distill=rates).distill
    fix = suggested_setting(reason, settings, learned(**now), loss)
    assert fix_text(fix) == f"--set distill.{expected}"


def test_settings_must_be_finite(make_config: Make) -> None:
    for value in (float("inf"), float("nan")):
        with pytest.raises(ConfigError, match=r"distill\.lr_images = (inf|nan)"):
            make_config(distill={"lr_images": value})
