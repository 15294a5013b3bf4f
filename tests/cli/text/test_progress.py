"""What is shown of a run as it goes: timed lines, bars, or nothing."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from datm_cli.text.progress import Bars, Lines, Nothing, reader
from datm_cli.text.sentences import sentence
from datm_engine.runs.events import (
    DifficultyProgress,
    Evaluated,
    EvaluationProgress,
    ExpertsPlanned,
    Matched,
    Noted,
    SelectionProgress,
    WaitBegan,
)


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def matched(iteration: int, *, loss: float | None = 0.5, skipped: int = 0) -> Matched:
    return Matched(
        iteration=iteration,
        iterations=200,
        loss=loss,
        expert=0,
        start_epoch=2,
        target_epoch=4,
        lower=0,
        upper=10,
        final_upper=20,
        syn_lr=0.0123,
        skip_reason=None,
        skipped=skipped,
        seconds=0.1,
    )


def console(*, terminal: bool = False) -> Console:
    return Console(file=io.StringIO(), force_terminal=terminal, width=120, highlight=False)


def printed(on: Console) -> str:
    assert isinstance(on.file, io.StringIO)
    return on.file.getvalue()


def test_facts_are_reported_at_once_and_progress_every_half_minute() -> None:
    on, clock = console(), Clock()
    with Lines(on, clock) as lines:
        lines.read(Noted(text="a [bold] fact"))
        for second in range(1, 66):
            clock.now += 1
            lines.read(matched(second, skipped=second // 40))
    assert printed(on).splitlines() == [
        "[00:00:00] a [bold] fact",
        "[00:00:30] distilling 30/200, 2 min 50 s left: loss 0.5000, T⁻ 0 T 10 T⁺ 20, η 0.0123",
        "[00:01:00] distilling 60/200, 2 min 20 s left: "
        "loss 0.5000, T⁻ 0 T 10 T⁺ 20, η 0.0123, 1 skipped",
    ]


def test_lines_have_no_carriage_returns_or_escapes() -> None:
    on, clock = console(), Clock()
    with Lines(on, clock) as lines:
        for step in range(5):
            clock.now += 31
            lines.read(matched(step + 1, loss=None))
    assert "\r" not in printed(on)
    assert "\x1b" not in printed(on)
    assert "loss not finite" in printed(on)


def test_bars_show_stage_share_and_time_left() -> None:
    on = console(terminal=True)
    with Bars(on) as bars:
        bars.read(Noted(text="a [bold] fact"))
        for iteration in range(1, 51):
            bars.read(matched(iteration))
    shown = printed(on)
    for part in ("a [bold] fact", "distilling", "50/200", "left", "loss 0.5000"):
        assert part in shown


def test_bars_follow_the_stage() -> None:
    on = console(terminal=True)
    with Bars(on) as bars:
        bars.read(matched(200))
        bars.read(
            EvaluationProgress(
                set="random", network="mlp", repeat=0, repeats=3, epoch=10, epochs=100
            )
        )
    last = printed(on).rsplit("\r", 1)[-1]
    assert "evaluating random, mlp, 1/3" in last
    assert "10/100" in last
    assert "distilling" not in last


def test_images_being_chosen_have_a_bar() -> None:
    on = console(terminal=True)
    with Bars(on) as bars:
        bars.read(SelectionProgress(set="forgetting", done=12, total=50))
    last = printed(on).rsplit("\r", 1)[-1]
    assert "choosing images, forgetting" in last
    assert "12/50" in last


def test_difficulty_has_a_bar() -> None:
    on = console(terminal=True)
    with Bars(on) as bars:
        bars.read(DifficultyProgress(done=3, total=5))
    last = printed(on).rsplit("\r", 1)[-1]
    assert "scoring image difficulty" in last
    assert "3/5" in last


def test_a_wait_is_reported_when_it_begins_and_every_half_minute() -> None:
    on, clock = console(), Clock()
    lines = Lines(on, clock)  # not entered: the test is its clock
    lines.read(WaitBegan(what="compiling steps"))
    for _ in range(65):
        clock.now += 1
        lines.report_wait()
    lines.read(Noted(text="compiled in 65 s"))
    clock.now += 40
    lines.report_wait()
    assert printed(on).splitlines() == [
        "[00:00:00] compiling steps …",
        "[00:00:30] compiling steps: 30 s so far",
        "[00:01:00] compiling steps: 1 min 00 s so far",
        "[00:01:05] compiled in 65 s",
    ]


def test_a_wait_on_a_terminal_has_a_clock_and_ends_with_the_next_event() -> None:
    on = console(terminal=True)
    with Bars(on) as bars:
        bars.read(WaitBegan(what="compiling steps"))
        during = printed(on)
        bars.read(Noted(text="compiled"))
    assert "compiling steps" in during + printed(on)
    assert "so far" in printed(on)
    assert "0/" not in printed(on)
    assert "compiling steps" not in printed(on).rsplit("compiled", 1)[-1]


@pytest.mark.parametrize(
    ("silent", "terminal", "expected"),
    [(True, True, Nothing), (False, True, Bars), (False, False, Lines)],
)
def test_which_is_used(silent: bool, terminal: bool, expected: type) -> None:
    assert isinstance(reader(console(terminal=terminal), silent=silent), expected)


def test_plans_say_how_many_how_long_how_much() -> None:
    on = console()
    plan = ExpertsPlanned(
        folder="experts/ab",
        total=100,
        missing=97,
        epochs=50,
        epochs_needed=50,
        seconds=7500,
        size=12_400_000_000,
    )
    with Lines(on, Clock()) as lines:
        lines.read(plan)
        lines.read(
            Evaluated(
                set="full",
                network="convnet",
                accuracy_mean=84.12,
                accuracy_std=0.3,
                repeats=5,
                images=50_000,
            )
        )
    assert printed(on).splitlines() == [
        "[00:00:00] training 97 of 100 experts, 50 epochs each: "
        "about 2 h 05 min and 12.4 GB in experts/ab",
        "[00:00:00] full, convnet: 84.12 ± 0.30% of test images (5 repeats, 50,000 images, 0.0 s)",
    ]


def test_a_single_network_has_no_deviation() -> None:
    facts = {"set": "full", "network": "convnet", "images": 50_000}
    row = Evaluated(**facts, accuracy_mean=84.126, accuracy_std=0.0, repeats=1)
    text = sentence(row)
    assert text == "full, convnet: 84.13% of test images (1 repeat, 50,000 images, 0.0 s)"
    assert row.model_copy(update={"accuracy_std": 0.44, "repeats": 2}).percent(1) == "84.1 ± 0.4"
