"""The rules for settings that nobody published: beside those that were, and what always holds."""

from __future__ import annotations

import itertools

import pytest

from datm_engine.settings import presets
from datm_engine.settings.derived.expert_training import experts_settings
from datm_engine.settings.derived.rates import (
    STEP_OF_IMAGES,
    STEP_OF_LABELS,
    STEP_OF_RATE,
    InitialMatch,
    for_length,
    rate_settings,
    student_rate,
)
from datm_engine.settings.derived.values import DERIVABLE, RATES, WINDOW, WINDOW_AND_STEPS, Derived
from datm_engine.settings.derived.window_rules import (
    Experts,
    progress,
    published_window,
    reached,
    window_settings,
)

PUBLISHED = [
    name
    for name in presets.names()
    if name.rpartition("-ipc")[0] in ("cifar10", "cifar100", "tinyimagenet")
]
CLASSES = {"cifar10": 10, "cifar100": 100, "tinyimagenet": 200}


def learning(epochs: int, *, steps: int = 195, lr: float = 0.01) -> Experts:
    """Experts that learn as the published ones do, whatever their length."""
    learned = [reached(100 * epoch / epochs) for epoch in range(epochs + 1)]
    accuracy = [10 + 80 * share for share in learned]
    loss = [2.3 * (1 - share) for share in learned]
    return Experts(loss, accuracy, accuracy, steps, lr)


def values(result: list[Derived]) -> dict[str, float]:
    return {one.key: one.value for one in result}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_cells_get_windows_close_to_the_published_ones(name: str) -> None:
    tables = presets.load(name)
    stated, classes = tables["distill"], CLASSES[tables["dataset"]["name"]]
    result = values(window_settings(stated["ipc"], classes, 10_000, learning(100), None, {}))
    assert abs(result["max_start_epoch"] - stated["max_start_epoch"]) <= 12
    assert abs(result["min_start_epoch"] - stated["min_start_epoch"]) <= 17
    assert abs(result["initial_max_start_epoch"] - stated["initial_max_start_epoch"]) <= 12
    assert (result["expansion_iterations"] > 0) == (stated["expansion_iterations"] > 0)
    assert result["expert_epochs"] == 2
    assert result["batch_syn"] == min(stated["ipc"] * classes, 1000)
    assert result["syn_steps"] == 80
    assert student_rate(0.01, 390, 80) == pytest.approx(stated["syn_lr"], rel=0.6)


def test_more_images_never_get_an_earlier_window() -> None:
    windows = [published_window(images) for images in (2, 10, 50, 100, 500, 1000, 5000, 10**6)]
    assert all(lower < final for lower, final in windows)
    for before, after in itertools.pairwise(windows):
        assert before[0] <= after[0]
        assert before[1] <= after[1]


@pytest.mark.parametrize("images", [1, 2, 10, 100, 1500, 10**5])
@pytest.mark.parametrize("epochs", [1, 2, 3, 5, 30, 100, 300])
@pytest.mark.parametrize("random", [None, 0.0, 45.0, 100.0])
def test_whatever_there_is_the_window_is_one(
    images: int, epochs: int, random: float | None
) -> None:
    result = values(window_settings(images, 3, 50, learning(epochs, steps=4), random, {}))
    lower, initial, final = (result[key] for key in WINDOW[:3])
    assert 0 <= lower < initial <= final
    assert final - 1 + result["expert_epochs"] <= epochs
    assert result["expert_epochs"] >= 1
    assert 20 <= result["syn_steps"] <= 80


def test_the_clock_is_what_is_learned_and_not_the_epochs() -> None:
    at_once = Experts([2.0, 0.5, 0.1, 0.0, 0.0], [10, 80, 95, 99, 99], None, 100, 0.01)
    slowly = Experts([2.0, 1.9, 1.7, 0.9, 0.0], [10, 12, 20, 60, 99], None, 100, 0.01)
    windows = [
        values(window_settings(10, 1, 100, e, None, {}))["max_start_epoch"]
        for e in (at_once, slowly)
    ]
    assert windows[0] < windows[1]


def test_a_window_ends_where_experts_know_what_the_images_are_to_teach() -> None:
    experts = learning(100)
    before = values(window_settings(10, 10, 1000, experts, None, {}))["max_start_epoch"]
    easy = values(window_settings(10, 10, 1000, experts, 10.0, {}))
    assert easy["max_start_epoch"] == before, "the later of both"
    result = values(window_settings(10, 10, 1000, experts, 80.0, {}))
    best = max(experts.judged)
    aim = 80 + 80 / best * (best - 80)
    final = int(result["max_start_epoch"])
    assert final > before
    assert experts.judged[final - 1] < aim <= experts.judged[final]
    lower = int(result["min_start_epoch"])
    assert experts.judged[lower - 1] < 80 <= experts.judged[lower]


def test_where_real_images_come_far_the_distilled_are_to_come_as_far_again() -> None:
    experts = learning(100)
    result = [
        one.reason
        for random in (40.0, 70.0)
        for one in window_settings(10, 100, 1000, experts, random, {})
        if one.key == "max_start_epoch"
    ]
    assert "75% of the way" in result[0] or "synthetic images want" in result[0], "by ipc"
    assert "78% of the way" in result[1], "70 of 90"


def test_what_real_images_teach_at_once_leaves_the_first_epochs_in() -> None:
    experts = learning(100)
    early = experts.judged[8]
    assert values(window_settings(10, 10, 1000, experts, early, {}))["min_start_epoch"] == 0
    late = experts.judged[25]
    assert values(window_settings(10, 10, 1000, experts, late, {}))["min_start_epoch"] > 10


def test_what_is_stated_is_kept_and_the_rest_made_to_fit() -> None:
    held = {"max_start_epoch": 3, "syn_steps": 7}
    result = values(window_settings(10_000, 1, 1000, learning(100), None, held))
    assert not held.keys() & result.keys()
    assert result["min_start_epoch"] < result["initial_max_start_epoch"] <= 3
    lower = values(window_settings(10, 1, 1000, learning(100), None, {"min_start_epoch": 50}))
    assert 50 < lower["initial_max_start_epoch"] <= lower["max_start_epoch"]
    every = dict.fromkeys(WINDOW_AND_STEPS, 4) | {"min_start_epoch": 0}
    assert window_settings(10, 1, 1000, learning(100), None, every) == []


def test_every_value_comes_with_its_reason() -> None:
    result = window_settings(300, 1, 1000, learning(50, steps=10), 40.0, {})
    result += rate_settings(
        1000, InitialMatch(0.05, 0, 0.5, 0.5, {"images": 0.1, "labels": 0.1, "syn_lr": 0.1}), {}
    )
    assert {one.key for one in result} == set(DERIVABLE)
    assert all(len(one.reason) > 15 for one in result)


def test_short_epochs_make_longer_segments() -> None:
    for experts, segment in ((learning(40, steps=10), 4), (learning(8, steps=2), 2)):
        result = values(window_settings(10, 1, 100, experts, None, {}))
        assert result["expert_epochs"] == segment, "at most a quarter of their epochs"


def test_rates_move_what_is_learned_by_a_share_of_its_size() -> None:
    steps = {"images": 0.002, "labels": 0.5, "syn_lr": 40.0}
    result = values(rate_settings(100, InitialMatch(0.05, 1, 0.7, 0.7, steps), {}))
    assert result["lr_images"] * steps["images"] == pytest.approx(STEP_OF_IMAGES / 10, rel=0.05)
    assert result["lr_labels"] * steps["labels"] == pytest.approx(STEP_OF_LABELS / 10, rel=0.05)
    assert result["lr_lr"] * steps["syn_lr"] == pytest.approx(STEP_OF_RATE / 10, rel=0.05)
    assert result["threshold"] == 1.0
    longer = values(rate_settings(10_000, InitialMatch(0.05, 1, 0.7, 0.7, steps), {}))
    assert longer["lr_images"] == pytest.approx(result["lr_images"] / 10, rel=0.05)
    assert values(
        rate_settings(100, InitialMatch(0.05, 1, 1.3, 1.3, {**steps, "labels": 0.0}), {})
    ) == {
        **result,
        "lr_labels": 0.0,
        "threshold": 1.43,
    }
    assert (
        rate_settings(100, InitialMatch(0.05, 1, 0.7, 0.7, steps), dict.fromkeys(RATES, 1.0)) == []
    )


def test_a_rate_of_another_length_makes_up_for_it() -> None:
    assert for_length(0.5, 100, 400) == 0.25
    assert for_length(0.25, 400, 100) == 0.5
    assert for_length(0.123456, 100, 100) == 0.123456, "nor is it rounded"


def test_progress_never_falls_and_ends_at_one() -> None:
    assert progress([2.0, 1.0, 1.5, 0.0, 0.5]) == [0.0, 0.5, 0.5, 1.0, 1.0]
    assert progress([1.0, 1.0]) == [1.0, 1.0]


@pytest.mark.parametrize(
    ("images", "batch", "lr", "count"),
    [(50_000, 256, 0.01, 100), (9_000, 256, 0.05, 100), (1_000, 32, 0.05, 100), (7, 4, 0.05, 100)],
)
def test_experts_for_a_number_of_images(images: int, batch: int, lr: float, count: int) -> None:
    result = values(experts_settings(images, 10_000))
    assert result == {"batch": batch, "lr": lr, "count": count}
    assert values(experts_settings(images, 300))["count"] == 8
