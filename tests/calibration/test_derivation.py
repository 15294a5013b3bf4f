"""Settings by the experts: stated with reasons, kept with the run, and the same however it came."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from datm_engine.calibration import derivation
from datm_engine.compute.runtime import Runtime
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.files import validated
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import Evaluated, Event, Matched, MeasurementProgress, SettingDerived
from datm_engine.settings.config import Config, differences
from datm_engine.settings.derived.values import DERIVABLE

Make = Callable[..., Config]


def road(
    config: Config,
    folders: Folders,
    derive: list[str],
    cpu: Runtime,
    until: type[Event] | None = None,
) -> tuple[Run, list[Any]]:
    """The road in a run of its own, or on with it; stopped after the first event of a kind."""
    new = not (folders.runs / "derived").exists()
    run = (
        Run.create(folders.runs, "derived", config, {"derive": derive})
        if new
        else Run.open(folders.runs, "derived")
    )
    seen: list[Any] = []

    def stop() -> bool:
        return until is not None and any(isinstance(event, until) for event in seen)

    with run.recording() as record, record.recorded(seen.append) as emit:
        make_distilled_set(run.config(), run, folders, replace(cpu, stop=stop), emit=emit)
    return run, seen


def product(run: Run) -> tuple[bytes, bytes]:
    return run.distilled.read_bytes(), run.checkpoint.read_bytes()


def test_what_is_derived_is_stated_kept_and_used(
    make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    config = make_config()
    run, seen = road(config, folders, list(DERIVABLE), cpu)
    history = {e.key.partition(".")[2]: e for e in seen if isinstance(e, SettingDerived)}
    assert set(history) == set(DERIVABLE)
    assert all(event.reason for event in history.values())
    now = run.config().distill.model_dump()
    assert {key: now[key] for key in history} == {
        key: event.value for key, event in history.items()
    }
    changed = {key.partition(".")[2] for key in differences(config, run.config())}
    assert changed <= set(DERIVABLE), "and nothing else"
    facts = run.manifest()
    assert facts.derive == []
    derived = facts.derived["distill.syn_steps"]
    assert (derived.value, derived.reason) == (now["syn_steps"], history["syn_steps"].reason)
    assert validated(LearningCurves, facts.learning_curves).epochs == config.snapshot_epochs
    matched = [event for event in seen if isinstance(event, Matched)]
    assert {event.final_upper for event in matched} == {now["max_start_epoch"]}
    (random,) = (e for e in seen if isinstance(e, Evaluated) and e.set == "random")
    assert facts.random == random.validation_mean, "measured once"


def test_what_is_stated_is_kept(make_config: Make, folders: Folders, cpu: Runtime) -> None:
    config = make_config(distill={"lr_images": 12.5, "max_start_epoch": 3})
    derive = [key for key in DERIVABLE if key not in ("lr_images", "max_start_epoch")]
    run, seen = road(config, folders, derive, cpu)
    assert run.config().distill.lr_images == 12.5
    assert run.config().distill.max_start_epoch == 3
    assert len([event for event in seen if isinstance(event, SettingDerived)]) == len(derive)


def test_without_held_out_images_the_training_images_judge(
    make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    config = make_config(dataset={"validation": 0.0}, evaluate={"selection": "last", "against": []})
    run, seen = road(config, folders, list(DERIVABLE), cpu)
    assert 0 <= run.manifest().random <= 100
    assert run.manifest().learning_curves["held_out"] is None
    assert not [event for event in seen if isinstance(event, Evaluated) and event.set == "random"]


def test_interrupted_anywhere_it_comes_to_the_same(
    make_config: Make, folders: Folders, tmp_path: Path, cpu: Runtime
) -> None:
    config = make_config()
    whole = Folders(folders.data, folders.experts, tmp_path / "whole")
    expected, _ = road(config, whole, list(DERIVABLE), cpu)

    run, _ = road(config, folders, list(DERIVABLE), cpu, until=MeasurementProgress)
    assert run.manifest().derive == list(DERIVABLE), "not derived yet"
    assert not run.checkpoint.exists()
    run, _ = road(config, folders, [], cpu, until=SettingDerived)
    run, _ = road(config, folders, [], cpu, until=Matched)
    assert run.manifest().derive == []
    run, seen = road(config, folders, [], cpu)
    assert not [event for event in seen if isinstance(event, SettingDerived)], "not again"
    assert run.config() == expected.config()
    assert run.manifest().derived == expected.manifest().derived
    assert product(run) == product(expected)


@pytest.mark.parametrize("key", ["max_start_epoch", "lr_images"])
def test_one_key_alone_can_be_derived(
    key: str, make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    config = make_config()
    run, seen = road(config, folders, [key], cpu)
    assert [e.key for e in seen if isinstance(e, SettingDerived)] == [f"distill.{key}"]
    assert set(differences(config, run.config())) <= {f"distill.{key}"}


@pytest.mark.parametrize(
    ("losses", "times"),
    [((1.9,), 0), ((2.5, 1.9), 1), ((9.0, 4.0, 3.0, 3.5), 2)],
    ids=["as it is", "until below 2", "else at the lowest"],
)
def test_the_rate_is_halved_where_matching_begins_too_high(
    losses: tuple[float, ...],
    times: int,
    make_config: Make,
    folders: Folders,
    cpu: Runtime,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tried: list[float] = []

    def measured(distillation: Any, number: int) -> dict[str, float]:
        syn_lr = float(distillation.learned.syn_lr)
        if syn_lr not in tried:
            tried.append(syn_lr)
        steps = {"images": 1.0, "labels": 1.0, "syn_lr": 1.0}
        return steps | {"loss": losses[tried.index(syn_lr)]}

    monkeypatch.setattr(derivation, "_measured", measured)
    run, _ = road(make_config(), folders, ["syn_lr", "threshold"], cpu, until=Matched)
    assert len(tried) == len(losses)
    assert run.config().distill.syn_lr == pytest.approx(tried[0] / 2**times, rel=0.05)
    assert run.config().distill.threshold == pytest.approx(1.1 * losses[times], abs=0.01)
