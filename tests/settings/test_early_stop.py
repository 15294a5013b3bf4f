"""When experts stop early: not before the window that may be chosen is covered."""

from __future__ import annotations

from dataclasses import replace

import pytest

from datm_engine.settings.derived.early_stop import (
    PATIENCE,
    EarlyStop,
    best_epoch,
    estimated_epochs,
)
from datm_engine.settings.derived.window_rules import Experts, progress, window_settings

RULE = EarlyStop(images=100, steps=30, most=100)
# Training loss that falls as a power of the epoch, and a held-out loss that is lowest at 30.
LOSS = [2.3 * (epoch + 1) ** -1.2 for epoch in range(101)]
HELD_OUT = [1.5 + 0.002 * (epoch - 30) ** 2 for epoch in range(101)]


def stop(rule: EarlyStop, loss: list[float], held_out: list[float]) -> int | None:
    epochs = range(1, len(loss))
    return next((e for e in epochs if rule.is_enough(loss[: e + 1], held_out[: e + 1])), None)


def test_training_ends_half_as_many_epochs_after_the_lowest_held_out_loss() -> None:
    assert stop(RULE, LOSS, HELD_OUT) == 45


def test_a_loss_that_is_lowest_at_once_is_waited_for() -> None:
    rising = [2.0, *(1.0 + 0.1 * epoch for epoch in range(100))]
    fast = [2.3, 0.1, *(0.1 / epoch for epoch in range(2, 101))]
    assert stop(RULE, fast, rising) == 1 + PATIENCE
    assert stop(replace(RULE, steps=8), fast, rising) == 20, "M = 5 is a quarter of them"


def test_an_experts_loss_that_always_falls_is_followed_to_the_end() -> None:
    assert stop(RULE, LOSS, LOSS) is None


def test_the_window_of_more_images_is_covered_later() -> None:
    slow = [2.3 - 0.3 * epoch**0.4 for epoch in range(101)]
    stops = [stop(EarlyStop(images, 30, 100), slow, HELD_OUT) for images in (10, 1000, 5000)]
    assert stops == sorted(stops)
    assert stops[0] is not None
    assert stops[-1] is not None
    assert stops[0] == stops[1] < stops[-1], "up to 1,000 images share their experts"


@pytest.mark.parametrize("images", [10, 30, 100, 500])
def test_shorter_experts_get_the_window_of_the_whole_ones(images: int) -> None:
    held_out_accuracy = [60 - 50 / (1 + epoch) for epoch in range(101)]
    whole = Experts(LOSS, held_out_accuracy, None, 30, 0.05)
    end = stop(replace(RULE, images=images), LOSS, HELD_OUT)
    assert end is not None
    early = Experts(LOSS[: end + 1], held_out_accuracy[: end + 1], None, 30, 0.05, planned=100)
    windows = [
        {one.key: one.value for one in window_settings(images, 1, 100, experts, None, {})}
        for experts in (whole, early)
    ]
    for key, value in windows[0].items():
        assert abs(windows[1][key] - value) <= 1, key


def test_the_rest_of_a_fall_is_taken_to_be_a_power_of_the_epoch() -> None:
    loss = [2.0, *(1.0 / epoch for epoch in range(1, 101))]
    whole, early = progress(loss), progress(loss[:31], 100)
    assert early == pytest.approx(whole[:31], rel=0.01)
    assert early[-1] < 1
    assert progress(loss[:31], 30) == progress(loss[:31]), "nothing is left of these"
    assert progress([1.0, 1.0, 1.0], 9) == [1.0, 1.0, 1.0], "nothing to follow"


def test_before_training_is_no_epoch_to_take_labels_from() -> None:
    assert best_epoch([0.1, 3.0, 2.0, 2.5]) == 2


@pytest.mark.parametrize(("images", "epochs"), [(960, 36), (9_600, 99), (50_000, 100), (1, 2)])
def test_experts_of_more_images_are_estimated_to_stop_later(images: int, epochs: int) -> None:
    assert estimated_epochs(100, images) == epochs
