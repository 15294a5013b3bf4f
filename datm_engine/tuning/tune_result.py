"""State how much better a tune's best trial is, in a sentence that claims no more than its scores
support."""

from __future__ import annotations

import math

from datm_engine.runs.trials import Trials


def sampling_deviation(percent: float, images: int) -> float:
    """Standard deviation of an accuracy measured on `images` images, in percentage points."""
    share = percent / 100
    return 100 * math.sqrt(max(share * (1 - share), 0.0) / max(images, 1))


def finding(trials: Trials, held_out: int) -> str:
    """Compare the best trial with trial 0. held_out: the number of images that trials are scored
    on."""
    first, best = trials.first, trials.best
    if best is None or best.score is None:
        return "No trial has been scored yet."
    scored = len(trials.ranked)
    if first is None or first.score is None:
        return (
            f"The settings as they were gave nothing to score; trial {best.number} reached "
            f"{best.score:.1f}% of the {held_out:,} held-out images."
        )
    if best.number == 0:
        if scored == 1:
            return "No settings but those there were have been scored yet."
        return f"None of {scored} trials was better than the settings as they were."
    gain = best.score - first.score
    # Of a difference between two accuracies, each on `held_out` images.
    deviation = math.sqrt(2) * sampling_deviation((best.score + first.score) / 2, held_out)
    on_images = f"such a difference on {held_out:,} held-out images ({deviation:.1f} points)"
    if gain <= deviation:
        extent = f"which is within the deviation of {on_images}: it may be chance"
    elif gain <= 2 * deviation:
        extent = (
            f"between one and two deviations of {on_images}; as the best of {scored} it is likely "
            "to be less elsewhere"
        )
    else:
        extent = (
            f"more than two deviations of {on_images}; as the best of {scored} it will be somewhat "
            "less elsewhere"
        )
    return (
        f"Trial {best.number} is {gain:.1f} points better than the settings as they were, {extent}."
    )
