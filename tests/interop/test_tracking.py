"""Events as scalars by the names people know, and where they are written."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datm_engine.errors import ConfigError, DatmError, Setting
from datm_engine.hints import fix_text
from datm_engine.interop import tracking
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, Evaluated, Event, Matched, Noted, SkipReason
from datm_engine.settings.config import Config


def matched(iteration: int, loss: float | None = 0.5) -> Matched:
    return Matched(
        iteration=iteration,
        iterations=9,
        loss=loss,
        expert=0,
        start_epoch=3,
        target_epoch=5,
        lower=0,
        upper=4,
        final_upper=4,
        syn_lr=0.01,
        skip_reason=None if loss else SkipReason.LOSS_NOT_FINITE,
        skipped=0,
        seconds=0.1,
        time=1000.0 + iteration,
    )


def evaluated(name: str) -> Evaluated:
    return Evaluated(
        set=name,
        network="resnet18",
        accuracy_mean=64.0,
        accuracy_std=1.5,
        repeats=5,
        images=10,
        iteration=9 if name == "distilled" else None,
    )


def scored(part: str) -> CandidateScored:
    return CandidateScored(iteration=4, part=part, accuracy=50.0, images=10, best=True)


def test_names_are_those_of_the_published_codes_and_accuracies_fractions() -> None:
    assert tracking.scalars(matched(1)) == {
        "Grand_Loss": 0.5,
        "Start_Epoch": 3.0,
        "Synthetic_LR": 0.01,
    }
    assert tracking.scalars(evaluated("distilled")) == {
        "Accuracy/ResNet18": 0.64,
        "Std/ResNet18": 0.015,
    }


def test_what_is_something_else_has_another_name() -> None:
    assert tracking.scalars(evaluated("random")).keys() == {
        "Accuracy/ResNet18/random",
        "Std/ResNet18/random",
    }
    assert tracking.scalars(scored("validation")) == {"Validation_Accuracy/ConvNet": 0.5}
    assert tracking.scalars(scored("test")) == {"Accuracy/ConvNet": 0.5}


def test_what_is_not_finite_is_left_out_and_other_facts_are_no_scalars() -> None:
    assert "Grand_Loss" not in tracking.scalars(matched(1, None))
    assert tracking.scalars(Noted(text="hello")) == {}


def test_tensorboard_has_every_scalar_at_its_iteration(tmp_path: Path) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events: list[Event] = [Noted(text="x"), *map(matched, (1, 2, 3)), evaluated("distilled")]
    tracking.export(tmp_path / "tb", events)
    found = reading.EventAccumulator(str(tmp_path / "tb"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("Grand_Loss")] == [
        (1, 0.5),
        (2, 0.5),
        (3, 0.5),
    ]
    assert found.Scalars("Grand_Loss")[0].wall_time == 1001.0
    (accuracy,) = found.Scalars("Accuracy/ResNet18")
    assert (accuracy.step, accuracy.value) == (9, pytest.approx(0.64))


def test_a_run_that_resumes_replaces_what_it_repeats(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    reading = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = Run.create(tmp_path, "r", make_config(), {})
    for done, steps in ((0, (1, 2, 3)), (2, (3, 4))):
        with tracking.tracking(["tensorboard"], run, done) as track:
            for number in steps:
                track(matched(number, 0.5 + done))
    found = reading.EventAccumulator(str(run.path / "tensorboard"))
    found.Reload()
    assert [(e.step, e.value) for e in found.Scalars("Grand_Loss")] == [
        (1, 0.5),
        (2, 0.5),
        (3, 2.5),
        (4, 2.5),
    ]


class FakeService:
    """The part of wandb that is used."""

    def __init__(self) -> None:
        self.logged: list[tuple[dict[str, float], int]] = []
        self.began: dict[str, Any] = {}
        self.ended = False

    def init(self, **began: Any) -> FakeService:
        self.began = began
        return self

    def log(self, values: dict[str, float], step: int) -> None:
        self.logged.append((values, step))

    def finish(self) -> None:
        self.ended = True


def test_weights_and_biases_gets_scalars_and_is_closed(
    tmp_path: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    service = FakeService()
    monkeypatch.setitem(sys.modules, "wandb", service)
    run = Run.create(tmp_path, "r", make_config(), {})
    with tracking.tracking(["wandb"], run, 0) as track:
        for event in (Noted(text="x"), matched(5)):
            track(event)
    assert service.began["name"] == "r"
    assert service.began["config"]["distill"]["ipc"] == 1
    assert service.began["resume"] == "allow"
    first = service.began["id"]
    with tracking.tracking(["wandb"], run, 5):
        assert service.began["id"] == first, "the same run continues"
    with tracking.tracking(["wandb"], Run.create(tmp_path, "s", make_config(), {}), 0):
        assert service.began["id"] != first
    assert service.logged == [({"Grand_Loss": 0.5, "Start_Epoch": 3.0, "Synthetic_LR": 0.01}, 5)]
    assert service.ended


def test_weights_and_biases_itself_takes_it_offline(
    tmp_path: Path, make_config: Callable[..., Config], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_SILENT", "true")
    run = Run.create(tmp_path, "r", make_config(), {})
    with tracking.tracking(["wandb"], run, 0) as track:
        track(matched(5))
    assert list(run.path.glob("wandb/offline-run-*/*.wandb"))


def test_an_unknown_tracker_is_reported() -> None:
    with pytest.raises(ConfigError, match="log mlflow") as raised:
        tracking.parse("mlflow")
    assert raised.value.fix == Setting("log", "tensorboard,wandb")
    assert tracking.parse(None) == ()


@pytest.mark.parametrize("name", tracking.TRACKERS)
def test_a_tracker_that_is_not_installed_is_reported(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(DatmError, match=f"log {name}") as raised:
        tracking.parse(name)
    assert fix_text(raised.value.fix) == f"pip install 'datm[{name}]'"
