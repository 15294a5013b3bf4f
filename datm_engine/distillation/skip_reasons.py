"""Why an iteration takes no step, and which setting helps."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from datm_engine.errors import Setting
from datm_engine.settings.config import DistillConfig

DIVERGED = "the matching loss is not finite, the student diverged"
ABOVE_THRESHOLD = "the matching loss is above the threshold"
NOT_FINITE = "the gradient is not finite"
NEGATIVE_RATE = "the step would make the learning rate negative"
OVERSHOT = {
    "images": "the step would make the images infinite",
    "labels": "the step would make the labels infinite",
    "syn_lr": "the step would make the learning rate infinite",
}

_NEARBY = 2.0  # a student that stays at its start has a loss of 1
_FAR_BEYOND = 1e3  # in standard deviations of pixels; in logits


def change_for(
    refused: str, settings: DistillConfig, learned: Mapping[str, Tensor], loss: float | None
) -> Setting:
    """`--set table.key=value` for the setting that helps against `refused`, where `learned` is
    how images, labels and rate stand and `loss` the last matching loss (None if not finite)."""
    if refused == OVERSHOT["images"]:
        return _less("lr_images", settings.lr_images)
    if refused == OVERSHOT["labels"]:
        return _less("lr_labels", settings.lr_labels)
    if refused in (OVERSHOT["syn_lr"], NEGATIVE_RATE):
        return _less("lr_lr", settings.lr_lr)
    if refused == ABOVE_THRESHOLD and loss is not None and loss <= _NEARBY:
        return Setting("distill.threshold", float(f"{1.1 * loss:.3g}"))
    # What is too large now, and was not where it started.
    if float(learned["images"].abs().max()) > _FAR_BEYOND:
        return _less("lr_images", settings.lr_images)
    if settings.labels == "soft" and float(learned["labels"].abs().max()) > _FAR_BEYOND:
        return _less("lr_labels", settings.lr_labels)
    if float(learned["syn_lr"]) > _NEARBY * settings.syn_lr:
        return _less("lr_lr", settings.lr_lr)
    return Setting("distill.syn_lr", settings.syn_lr / 2)


def _less(key: str, rate: float) -> Setting:
    return Setting(f"distill.{key}", rate / 10)
