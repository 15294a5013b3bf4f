"""Which setting helps a run whose iterations take no step."""

from __future__ import annotations

from datm_engine.distillation.learned import Learned
from datm_engine.errors import Setting
from datm_engine.runs.events import SkipReason
from datm_engine.settings.config import DistillConfig

_NEARBY = 2.0  # a student that stays at its start has a loss of 1
_FAR_BEYOND = 1e3  # in standard deviations of pixels; in logits


def suggested_setting(
    reason: SkipReason, settings: DistillConfig, learned: Learned, loss: float | None
) -> Setting:
    """Return the setting that helps against `reason`. learned: images, labels and rate as they
    are; loss: the last matching loss, None if it is not finite."""
    match reason:
        case SkipReason.IMAGES_INFINITE:
            return _less("lr_images", settings.lr_images)
        case SkipReason.LABELS_INFINITE:
            return _less("lr_labels", settings.lr_labels)
        case SkipReason.RATE_INFINITE | SkipReason.RATE_NEGATIVE:
            return _less("lr_lr", settings.lr_lr)
        case SkipReason.LOSS_ABOVE_THRESHOLD if loss is not None and loss <= _NEARBY:
            return Setting("distill.threshold", float(f"{1.1 * loss:.3g}"))
    # What is too large now, and was not where it started.
    if float(learned.images.abs().max()) > _FAR_BEYOND:
        return _less("lr_images", settings.lr_images)
    if settings.labels == "soft" and float(learned.labels.abs().max()) > _FAR_BEYOND:
        return _less("lr_labels", settings.lr_labels)
    if float(learned.syn_lr) > _NEARBY * settings.syn_lr:
        return _less("lr_lr", settings.lr_lr)
    return Setting("distill.syn_lr", settings.syn_lr / 2)


def _less(key: str, rate: float) -> Setting:
    return Setting(f"distill.{key}", rate / 10)
