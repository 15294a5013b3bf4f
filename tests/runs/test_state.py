"""The state of a run is a fold over its events, in whatever batches they arrive."""

from __future__ import annotations

import dataclasses
import json

import pytest

from datm_engine.runs import events
from datm_engine.runs.state import RunState, fold
from tests.cli.dashboard.conftest import BEGAN, matched, story


def test_stages_come_and_go() -> None:
    history = story()
    stages = []
    state = RunState()
    for event in history:
        state.add(event)
        if not stages or stages[-1] != state.stage:
            stages.append(state.stage)
    assert stages == ["dataset", "experts", "calibration", "distill"]
    assert state.stages["experts"].done == state.stages["experts"].total == 2
    assert state.stages["calibration"].done == state.stages["calibration"].total == 2
    assert (state.stages["distill"].done, state.stages["distill"].total) == (120, 300)
    assert [len(own) for own in state.epochs.values()] == [12, 12]
    assert state.references("test") == {"random": 41.0, "full": 82.0}
    assert state.references("validation") == {"random": 43.0, "full": 84.0}


def test_a_wait_is_the_current_activity_until_the_next_event() -> None:
    wait = events.WaitBegan(what="compiling expert steps", time=BEGAN + 1)
    state = fold([wait])
    assert state.current == wait
    assert not state.log
    state.add(events.Noted(text="compiled in 60 s", time=BEGAN + 61))
    assert state.current is None
    assert len(state.log) == 1


def test_references_are_all_real_images_by_the_first_network() -> None:
    def row(name: str, network: str, accuracy: float, held_out: float | None) -> events.Evaluated:
        facts = {"accuracy_std": 1.0, "repeats": 1, "images": 6, "validation_mean": held_out}
        return events.Evaluated(set=name, network=network, accuracy_mean=accuracy, **facts)

    result = [row("herding", "convnet", 50.0, 52.0), row("el2n", "convnet", 20.0, None)]
    result += [row("distilled", "convnet", 70.0, 71.0), row("herding", "mlp", 30.0, 31.0)]
    assert fold(result).references("test") == {"herding": 50.0, "el2n": 20.0}
    assert fold(result).references("validation") == {"herding": 52.0}


def test_images_being_chosen_belong_to_the_row_they_are_for() -> None:
    choosing = events.SelectionProgress(set="el2n", done=3, total=10, row=1, rows=4, time=BEGAN)
    state = fold([choosing])
    assert (state.stage, state.current) == ("calibration", choosing)
    assert (state.stages["calibration"].done, state.stages["calibration"].total) == (1, 4)
    state = fold([matched(300), choosing])
    assert state.stage == "evaluate"


@pytest.mark.parametrize("cut", [1, 5, 40, 100])
def test_portions_do_not_matter(cut: int) -> None:
    history = story()
    state = fold(history[:cut])
    for event in history[cut:]:
        state.add(event)
    whole = fold(history)
    for field in dataclasses.fields(RunState):
        if not field.name.startswith("_"):
            assert getattr(state, field.name) == getattr(whole, field.name), field.name


def test_what_is_left_of_a_stage() -> None:
    state = fold(story())
    assert state.recent_seconds == 2.0
    assert state.seconds_left("distill") == pytest.approx(180 * 2, rel=0.01)
    half = fold([event for event in story() if event.time <= BEGAN + 26])
    assert half.stage == "experts"
    assert half.seconds_left("experts") == pytest.approx(24, rel=0.1)
    assert fold([]).seconds_left("distill") is None


def test_a_resumed_run_logs_its_iterations_anew() -> None:
    history = [*story(120), events.RunEnded(status="stopped", iteration=120)]
    again = events.RunStarted(
        run="pets", command="distill", device="cpu", version="0", seed=0, resumed_at=90
    )
    state = fold([*history, again])
    assert state.ended is None
    assert state.matched[-1].iteration == 90
    assert [event.iteration for event in state.candidates] == [50]
    assert [event.iteration for event in state.samples] == [0, 50]
    assert {row.set for row in state.results} == {"random", "full"}
    state.add(matched(91, loss=0.1))
    assert state.matched[-1].loss == 0.1
    state.add(events.EvaluationChanged())
    assert state.results == []


def test_time_is_counted_over_all_that_worked_on_a_run() -> None:
    again = events.RunStarted(
        run="pets",
        command="distill",
        device="cpu",
        version="0",
        seed=0,
        resumed_at=90,
        time=BEGAN + 100_000,
    )
    assert fold(story(120)).seconds_before == 0
    assert fold([*story(120), again]).seconds_before == 340


def test_experts_that_were_there_already_count_as_done() -> None:
    planned = next(event for event in story() if isinstance(event, events.ExpertsPlanned))
    state = fold([planned.model_copy(update={"total": 5, "missing": 2})])
    assert state.stages["experts"].done == 3
    epochs = [event for event in story() if isinstance(event, events.ExpertEpoch)]
    for event in epochs[:6]:
        state.add(event)
    assert state.stages["experts"].done == pytest.approx(3.5)


def test_separating_easy_from_hard_is_of_the_experts_and_no_expert() -> None:
    planned = next(event for event in story() if isinstance(event, events.ExpertsPlanned))
    scored = events.DifficultyProgress(done=3, total=5, time=planned.time + 7)
    state = fold([planned, scored])
    assert state.stage == "experts"
    assert state.current == scored
    assert state.stages["experts"].done == planned.total - planned.missing
    started = events.RunStarted(
        run="pets", command="", device="", version="", seed=0, time=planned.time
    )
    assert fold([started, scored]).seconds["experts"] == pytest.approx(7)


def test_an_expert_given_up_and_begun_again_has_one_curve() -> None:
    epochs = [e for e in story() if isinstance(e, events.ExpertEpoch) and e.expert == 0]
    state = fold([*epochs[:5], *epochs])
    assert [event.epoch for event in state.epochs[0]] == list(range(1, 13))


def test_each_reason_for_a_skip_is_logged_once() -> None:
    reason = events.SkipReason.LOSS_ABOVE_THRESHOLD
    state = fold([matched(k, skip_reason=reason) for k in range(1, 6)])
    assert [event.iteration for event in state.log] == [1]  # type: ignore[attr-defined]
    assert len(fold([events.Noted(text="n")] * 5000).log) == 1000


def test_time_counts_for_the_stage_that_used_it() -> None:
    seconds = fold(story(120)).seconds
    assert seconds["dataset"] == 1.0
    assert seconds["experts"] == 49.0
    assert seconds["calibration"] == 25.0
    assert seconds["distill"] + seconds["selection"] == pytest.approx(265.0)
    assert seconds["selection"] == 2.0
    assert seconds["evaluate"] == 0.0


def test_time_between_two_processes_counts_for_none() -> None:
    later = BEGAN + 1_000_000
    again = events.RunStarted(
        run="pets", command="distill", device="cpu", version="0", seed=0, resumed_at=120, time=later
    )
    more = matched(121, time=later + 2)
    changed = events.EvaluationChanged(time=later - 1)
    before = fold(story(120)).seconds
    after = fold([*story(120), changed, again, more]).seconds
    assert after["distill"] == before["distill"] + 2


def test_time_of_iterations_that_are_repeated_counts_once() -> None:
    again = events.RunStarted(
        run="pets", command="distill", device="cpu", version="0", seed=0, resumed_at=90, time=BEGAN
    )
    before, after = fold(story(120)).seconds, fold([*story(120), again]).seconds
    assert sum(after.values()) == sum(before.values()) - 2 * 30
    assert after["selection"] == before["selection"] / 2, "one candidate of two remains"


def test_as_json() -> None:
    score = {"part": "validation", "images": 100, "best": False}
    result = {"network": "convnet", "accuracy_std": 0.1, "repeats": 2, "images": 10}
    state = fold(
        [
            events.Noted(text="no state"),
            matched(1, loss=0.9),
            matched(2, loss=0.8),
            events.CandidateScored(iteration=2, accuracy=40.0, **score),
            matched(3, loss=0.7),
            matched(2, loss=0.7),  # resumed, though no event says so
            events.CandidateScored(iteration=2, accuracy=41.0, **score),
            matched(3, loss=None, skip_reason=events.SkipReason.LOSS_NOT_FINITE, skipped=1),
            events.Evaluated(set="random", accuracy_mean=30.0, **result),
            events.Evaluated(set="distilled", accuracy_mean=50.0, iteration=2, **result),
            events.Evaluated(set="distilled", accuracy_mean=51.0, iteration=2, **result),
        ]
    )
    assert [(event.iteration, event.loss) for event in state.matched] == [
        (1, 0.9),
        (2, 0.7),
        (3, None),
    ]
    assert [event.accuracy for event in state.candidates] == [41.0]
    facts = json.loads(json.dumps(state.as_json()))
    assert (facts["iterations"], facts["iterations_done"]) == (300, 3)
    assert facts["iterations_skipped"] == 1
    assert [(row["set"], row["accuracy_mean"]) for row in facts["results"]] == [
        ("distilled", 51.0),
        ("random", 30.0),
    ]
    assert fold([]).as_json()["iterations_done"] == 0
