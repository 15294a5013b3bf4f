"""Methods and windows asked for on the command line: what they change, and what is said of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args, get_type_hints

import pytest
from typer.models import OptionInfo

from datm_cli.options import SettingOptions
from datm_cli.resolve import GivenSettings
from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Matched
from datm_engine.settings import presets
from datm_engine.settings.config import Config
from datm_engine.settings.resolved import Resolved
from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]


def settled(*assignments: str, **given: Any) -> Resolved:
    asked = {"dataset": "digits", "ipc": 1, "data_dir": Path("nowhere")} | given
    return GivenSettings(**asked, assignments=assignments).resolve()


def window_of(config: Config) -> tuple[int, int, int, int]:
    return (
        config.distill.min_start_epoch,
        config.distill.initial_max_start_epoch,
        config.distill.max_start_epoch,
        config.distill.expansion_iterations,
    )


def test_a_run_by_a_method_says_so(datm: Datm, settings: Path) -> None:
    answer = datm("distill", "--config", settings, "--method", "tesla", "--no-tui")
    assert answer.code == 0
    run = Run.open(Path("runs"), "digits-ipc1-tesla")
    config = run.config()
    assert (config.distill.gradient, config.distill.lr_labels) == ("tesla", 0.0)
    assert config.distill.threshold == 5.0, "a config file stands above the method"
    assert run.manifest().source == f"preset digits-ipc1, method tesla, {settings}"
    said = " ".join(answer.err.split())
    assert "settings: preset digits-ipc1, method tesla" in said
    assert "method tesla: experts.optimizer = sgd," in said
    assert "the gradient is TESLA's approximation" in said
    facts = [json.loads(line) for line in (run.path / "events.jsonl").read_text().splitlines()]
    (labels,) = {fact["label_source"] for fact in facts if fact["event"] == "Initialized"}
    assert labels == "logits of one expert at epoch 4"
    again = datm("distill", "--resume", "digits-ipc1-tesla", "--method", "mtt")
    assert_two_lines(again, 2, "--explain and --dry-run are for a new one", "--resume")


def test_by_fyi_networks_are_trained_on_mirror_images_too(datm: Datm, settings: Path) -> None:
    answer = datm("distill", "--config", settings, "--method", "fyi", "--no-tui")
    assert answer.code == 0
    said = "networks are trained on every image beside its mirror image, on real images too"
    assert said in " ".join(answer.err.split())
    again = datm("evaluate", "digits-ipc1-fyi", "--json").json["results"]
    plain = datm("evaluate", "digits-ipc1-fyi", "--json", "--set", "evaluate.mirrored=false")
    assert plain.code == 0
    other = datm("distill", "--config", settings, "--json")
    run = Run.open(Path("runs"), "digits-ipc1-fyi")
    losses = [event.loss for event in run.events() if isinstance(event, Matched)]
    assert losses[-1] != other.json["loss"], "another student than without mirror images"
    names = [row["set"] for row in again]
    assert names == [row["set"] for row in plain.json["results"]]
    assert again != plain.json["results"]


def test_what_is_derived_is_not_reported_where_it_is_stated() -> None:
    derived = "distill.averaging = "
    assert any(note.startswith(derived) for note in settled(method="ftd").messages())
    asked = settled("distill.averaging=0.5", method="ftd")
    assert asked.config.distill.averaging == 0.5
    assert not any(note.startswith(derived) for note in asked.messages())


def test_the_method_from_the_environment(
    datm: Datm, settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATM_METHOD", "mtt")
    answer = datm("distill", "--config", settings, "--json", "--ipc", 2)
    assert answer.json["run"] == "digits-ipc2-mtt"
    assert Run.open(Path("runs"), "digits-ipc2-mtt").config().distill.labels == "hard"
    plain = datm("distill", "--config", settings, "--json", "--ipc", 2, "--method", "datm")
    assert plain.json["run"] == "digits-ipc2", (
        "a flag stands above it, and datm is what presets are"
    )


def test_help_names_every_method() -> None:
    kind = get_type_hints(SettingOptions, include_extras=True)["method"]
    (option,) = (part for part in get_args(kind) if isinstance(part, OptionInfo))
    assert set(str(option.metavar).split("|")) == set(presets.methods())


@pytest.mark.parametrize("command", ["distill", "experts"])
def test_unknown_methods_and_windows(command: str, datm: Datm) -> None:
    method = datm(command, "--method", "mt")
    assert_two_lines(method, 2, "there is no method mt (did you mean mtt?)", "--method mtt")
    window = datm(command, "--window", "latest")
    assert_two_lines(window, 2, "there is no window latest", f"datm {command} --window")
    assert "early, middle, late" in window.err


def test_a_window_is_a_third_of_the_experts_epochs(datm: Datm, settings: Path) -> None:
    """Experts of 4 epochs, matched one apart, have start epochs 0 to 3."""
    answer = datm("distill", "--config", settings, "--json", "--window", "late")
    assert answer.json["run"] == "digits-ipc1-late"
    run = Run.open(Path("runs"), "digits-ipc1-late")
    assert window_of(run.config()) == (2, 4, 4, 0)
    started = [event.start_epoch for event in run.events() if isinstance(event, Matched)]
    assert set(started) <= {2, 3}


@pytest.mark.parametrize(
    ("window", "expected"),
    [("early", (0, 1, 1, 0)), ("middle", (1, 2, 2, 0)), ("late", (2, 4, 4, 0))],
)
def test_all_thirds_are_of_the_same_experts(
    window: str, expected: tuple[int, int, int, int]
) -> None:
    """The digits' experts are as long as their window needs, whichever third of it is matched."""
    found = settled(window=window)
    assert window_of(found.config) == expected
    assert found.config.experts.epochs == settled().config.snapshot_epochs == 5
    assert found.source == f"preset digits-ipc1, window {window}"
    assert found.variant == f"-{window}"


def test_experts_of_ones_own_length_have_their_own_thirds() -> None:
    longer = settled("experts.epochs=31", window="middle", method="mtt")
    assert window_of(longer.config) == (10, 20, 20, 0)
    assert longer.variant == "-mtt-middle"
    shorter = settled("experts.epochs=4", window="late")
    assert window_of(shorter.config) == (2, 3, 3, 0), "the preset's own window would not fit"
    with pytest.raises(ConfigError, match="too few start epochs") as error:
        settled("experts.epochs=3", window="late")
    assert error.value.fix == Setting("experts.epochs", 4)


def test_a_window_is_given_once() -> None:
    with pytest.raises(ConfigError, match="max_start_epoch is given twice") as error:
        settled("distill.max_start_epoch=3", window="late")
    assert error.value.fix == Setting("distill.max_start_epoch")


def test_the_average_is_fitted_to_the_iterations_that_are_asked_for() -> None:
    flags = {"distill": {"iterations": 1000}}
    assert settled(flags=flags, method="ftd").config.distill.averaging == 0.9975
    assert settled("distill.averaging=0.5", method="ftd").config.distill.averaging == 0.5
    with pytest.raises(ConfigError, match=r"distill\.iterations = 0"):
        settled("distill.iterations=0", method="ftd")
