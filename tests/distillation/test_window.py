"""The window against tables worked out by hand for every published row."""

from __future__ import annotations

import pytest

from datm_engine.distillation.window import Window, expert_for

# T⁻, T, T⁺, expansion iterations; then T at some iterations.
PUBLISHED = {
    "cifar10-ipc1": ((0, 4, 4, 0), {0: 4, 9999: 4}),
    "cifar10-ipc10": ((0, 10, 20, 1000), {0: 10, 99: 10, 100: 11, 550: 15, 999: 19, 1000: 20}),
    "cifar10-ipc50": ((0, 20, 40, 2000), {0: 20, 99: 20, 100: 21, 1999: 39, 2000: 40, 9999: 40}),
    "cifar10-ipc500": ((40, 60, 60, 0), {0: 60, 5000: 60}),
    "cifar10-ipc1000": ((40, 60, 60, 0), {0: 60, 5000: 60}),
    "cifar100-ipc1": ((0, 10, 20, 1000), {0: 10, 450: 14, 1000: 20, 5000: 20}),
    "cifar100-ipc10": ((0, 30, 50, 2000), {0: 30, 1000: 40, 1950: 49, 2000: 50}),
    "cifar100-ipc50": ((20, 70, 70, 0), {0: 70, 1: 70}),
    "cifar100-ipc100": ((30, 70, 70, 0), {0: 70, 1: 70}),
    "tinyimagenet-ipc1": ((0, 15, 20, 2000), {0: 15, 399: 15, 400: 16, 1999: 19, 2000: 20}),
    "tinyimagenet-ipc10": ((10, 50, 50, 0), {0: 50, 1: 50}),
    "tinyimagenet-ipc50": ((40, 70, 70, 0), {0: 70, 1: 70}),
}


@pytest.mark.parametrize("row", list(PUBLISHED))
def test_upper_bound_grows_as_published(row: str) -> None:
    (lower, initial, final, expansion), table = PUBLISHED[row]
    window = Window(lower, initial, final, expansion)
    assert {iteration: window.upper_at(iteration) for iteration in table} == table


def test_start_epochs_fill_the_window_and_no_more() -> None:
    window = Window(2, 4, 6, 300)
    early = {window.draw_start_epoch(iteration, seed=0) for iteration in range(100)}
    late = {window.draw_start_epoch(iteration, seed=0) for iteration in range(300, 500)}
    assert early == {2, 3}
    assert late == {2, 3, 4, 5}


def test_start_epochs_are_uniform_and_repeatable() -> None:
    window = Window(0, 4, 4, 0)
    drawn = [window.draw_start_epoch(iteration, seed=3) for iteration in range(2000)]
    assert drawn == [window.draw_start_epoch(iteration, seed=3) for iteration in range(2000)]
    assert drawn != [window.draw_start_epoch(iteration, seed=4) for iteration in range(2000)]
    assert all(430 < drawn.count(epoch) < 570 for epoch in range(4))


def test_every_expert_is_used_once_before_any_again() -> None:
    used = [expert_for(iteration, experts=5, seed=0) for iteration in range(15)]
    turns = [used[:5], used[5:10], used[10:]]
    assert all(sorted(turn) == [0, 1, 2, 3, 4] for turn in turns)
    assert len({tuple(turn) for turn in turns}) > 1
