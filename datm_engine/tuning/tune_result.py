"""What a tune comes to, in a sentence that claims no more than its scores do."""

from __future__ import annotations

import math

from datm_engine.tuning.trials import Trials


def sampling_deviation(percent: float, images: int) -> float:
    """Of an accuracy measured on so many images: that of as many draws, in percentage points."""
    share = percent / 100
    return 100 * math.sqrt(max(share * (1 - share), 0.0) / max(images, 1))


def finding(trials: Trials, held_out: int) -> str:
    """How the best stands beside the settings as they were. `held_out`: images it was scored on."""
    first, best = trials.first, trials.best
    if best is None or best.score is None:
        return "No trial has been scored yet."
    scored = sum(bool(trial.scores) for trial in trials.all.values())
    if first is None or first.score is None:
        return (
            f"The settings as they were gave nothing to score; trial {best.number} reached "
            f"{best.score:.1f}% of the {held_out:,} held-out images."
        )
    if best.number == 0 and scored == 1:
        return "No settings but those there were have been scored yet."
    if best.number == 0:
        return f"None of {scored} trials was better than the settings as they were."
    gain = best.score - first.score
    deviation = math.sqrt(2) * sampling_deviation((best.score + first.score) / 2, held_out)
    how = f"Trial {best.number} is {gain:.1f} points better than the settings as they were"
    images = f"{held_out:,} held-out images"
    if gain <= deviation:
        return (
            f"{how}, which is within the deviation of such a difference on {images} "
            f"({deviation:.1f} points): it may be chance."
        )
    if gain <= 2 * deviation:
        return (
            f"{how}, between one and two deviations of such a difference on {images} "
            f"({deviation:.1f} points); as the best of {scored} it is likely to be less elsewhere."
        )
    return (
        f"{how}, more than two deviations of such a difference on {images} ({deviation:.1f} "
        f"points); as the best of {scored} it will be somewhat less elsewhere."
    )
