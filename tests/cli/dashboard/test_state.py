"""The dashboard's state is a fold over events: nothing else, whatever portions they come in."""

from __future__ import annotations

import dataclasses

import pytest

from datm_cli.dashboard.state import State, fold
from datm_cli.run_summary import spent
from datm_engine.runs import events

from .conftest import BEGAN, matched, story


def test_stages_come_and_go() -> None:
    told = story()
    stages = []
    state = State()
    for event in told:
        state.add(event)
        if not stages or stages[-1] != state.stage:
            stages.append(state.stage)
    assert stages == ["dataset", "experts", "references", "distill"]
    assert state.stages["experts"].done == state.stages["experts"].total == 2
    assert state.stages["references"].done == state.stages["references"].total == 2
    assert (state.stages["distill"].done, state.stages["distill"].total) == (120, 300)
    assert [len(own) for own in state.epochs.values()] == [12, 12]
    assert state.reference("random", "validation") == 43.0
    assert state.reference("random", "test") == 41.0
    assert state.reference("herding", "test") is None
    assert state.references("validation") == {"random": 43.0, "full": 84.0}


def test_references_are_all_real_images_by_the_first_network() -> None:
    def row(name: str, network: str, accuracy: float, held_out: float | None) -> events.Evaluated:
        facts = {"accuracy_std": 1.0, "repeats": 1, "images": 6, "validation_mean": held_out}
        return events.Evaluated(set=name, network=network, accuracy_mean=accuracy, **facts)

    told = [row("herding", "convnet", 50.0, 52.0), row("el2n", "convnet", 20.0, None)]
    told += [row("distilled", "convnet", 70.0, 71.0), row("herding", "mlp", 30.0, 31.0)]
    assert fold(told).references("test") == {"herding": 50.0, "el2n": 20.0}
    assert fold(told).references("validation") == {"herding": 52.0}


def test_images_being_chosen_belong_to_the_row_they_are_for() -> None:
    choosing = events.SelectionProgress(set="el2n", done=3, total=10, row=1, rows=4, time=BEGAN)
    state = fold([choosing])
    assert (state.stage, state.doing) == ("references", "choosing images, el2n 3/10")
    assert (state.stages["references"].done, state.stages["references"].total) == (1, 4)
    state = fold([matched(300), choosing])
    assert state.stage == "evaluate"


@pytest.mark.parametrize("cut", [1, 5, 40, 100])
def test_portions_do_not_matter(cut: int) -> None:
    told = story()
    state = fold(told[:cut])
    for event in told[cut:]:
        state.add(event)
    whole = fold(told)
    for field in dataclasses.fields(State):
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


def test_a_run_that_goes_on_tells_its_iterations_anew() -> None:
    told = [*story(120), events.RunEnded(status="stopped", iteration=120)]
    again = events.RunStarted(
        run="pets", command="distill", device="cpu", version="0", seed=0, resumed_at=90
    )
    state = fold([*told, again])
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
    state = fold([dataclasses.replace(planned, total=5, missing=2)])
    assert state.stages["experts"].done == 3
    epochs = [event for event in story() if isinstance(event, events.ExpertEpoch)]
    for event in epochs[:6]:
        state.add(event)
    assert state.stages["experts"].done == pytest.approx(3.5)


def test_telling_easy_from_hard_is_of_the_experts_and_no_expert() -> None:
    planned = next(event for event in story() if isinstance(event, events.ExpertsPlanned))
    scored = events.DifficultyProgress(done=3, total=5, time=planned.time + 7)
    state = fold([planned, scored])
    assert state.stage == "experts"
    assert state.doing == "telling easy images from hard, epoch 3/5"
    assert state.stages["experts"].done == planned.total - planned.missing
    started = events.RunStarted(
        run="pets", command="", device="", version="", seed=0, time=planned.time
    )
    assert spent([started, scored])["experts"] == pytest.approx(7)


def test_an_expert_given_up_and_begun_again_has_one_curve() -> None:
    epochs = [e for e in story() if isinstance(e, events.ExpertEpoch) and e.expert == 0]
    state = fold([*epochs[:5], *epochs])
    assert [event.epoch for event in state.epochs[0]] == list(range(1, 13))


def test_each_reason_for_a_skip_is_logged_once() -> None:
    why = "the matching loss is above the threshold"
    state = fold([matched(k, refused=why) for k in range(1, 6)])
    assert len([text for _, text in state.log if why in text]) == 1
    assert len(fold([events.Noted(text="n")] * 5000).log) == 1000
