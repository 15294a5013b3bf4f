"""`datm tune` as it is typed: its trials, its preset, and what a person can get wrong."""

from __future__ import annotations

import json
import os
import shlex
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("optuna")

from datm_cli.session import prepare_run
from datm_engine.runs.directory import Run
from datm_engine.runs.event_log import EventWriter
from datm_engine.runs.events import CandidateScored, Evaluated, Event, Matched, RunStarted
from datm_engine.settings.config import build
from datm_engine.tuning.tune_folder import Tune
from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]
HOME = Path("tunes/digits-ipc1")


@pytest.fixture
def tune(datm: Datm, settings: Path) -> Callable[..., Answer]:
    """A tune of three trials, with settings that make it tiny."""

    def type_(*words: object, budget: object = 3) -> Answer:
        return datm("tune", "--ipc", 1, "--config", settings, "--budget", budget, *words)

    return type_


def events_of(number: int, home: Path = HOME) -> list[Event]:
    return Tune(home).run(number).events()


def without_places(result: dict[str, Any]) -> dict[str, Any]:
    trials = [{k: v for k, v in trial.items() if k != "run"} for trial in result["trials"]]
    return {k: v for k, v in result.items() if k not in ("tune", "preset")} | {"trials": trials}


def test_a_tune_from_settings_to_a_preset_to_a_run(tune: Callable[..., Answer], datm: Datm) -> None:
    answer = tune("--to", "mine/best.toml")
    assert answer.code == 0, answer.err
    assert "trial 0, the settings as they are: " in answer.err
    assert "at 8 of 8 iterations, complete" in answer.err
    assert "datm monitor tunes/digits-ipc1" in answer.err
    assert "distil with it: datm distill --config mine/best.toml" in answer.out
    assert len(list(Path("experts").iterdir())) == 1, "one set of experts for all"
    assert not Path("runs").exists()

    for number in range(3):
        events = events_of(number)
        assert any(isinstance(event, CandidateScored) for event in events)
        assert not any(isinstance(event, Evaluated) for event in events), "the test set is not seen"
        assert {e.part for e in events if isinstance(e, CandidateScored)} == {"validation"}
    best = Tune(HOME).state().trials.best
    assert best is not None
    for number in range(3):
        kept = Tune(HOME).run(number).distilled.exists()
        assert kept == (number in (0, best.number)), "images of the first and of the best"

    text = Path("mine/best.toml").read_text()
    assert text == (HOME / "preset.toml").read_text()
    head = text.partition("\n\n[")[0].splitlines()
    assert all(line.startswith("#") for line in head)
    assert any("of 40 held-out images" in line for line in head)
    assert any(line.startswith("# trials: 3 (") for line in head)
    config = build(tomllib.loads(text), "the preset")
    trial = Tune(HOME).run(best.number).config()
    assert config.distill == trial.distill
    assert config.evaluate.against == ["random"]

    distilled = datm("distill", "--config", "mine/best.toml", "--json", "--iterations", 2)
    assert distilled.code == 0, distilled.out
    assert Run(Path("runs") / distilled.json["run"]).config().experts == trial.experts


def test_what_is_given_is_held_and_what_is_asked_is_reported(tune: Callable[..., Answer]) -> None:
    answer = tune("--set", "distill.lr_images=7", "--window", "early", "--keep", "--json", "-q")
    assert answer.err == ""
    result = answer.json
    assert (result["tune"], result["status"], len(result["trials"])) == (
        "digits-ipc1-early",
        "done",
        3,
    )
    assert result["best"] in range(3)
    assert result["trials"][0]["changes"] == ""
    home = Path("tunes/digits-ipc1-early")
    assert result["preset"] == str(home / "preset.toml")
    for number in range(3):
        run = Tune(home).run(number)
        assert run.distilled.exists(), "as --keep says"
        assert run.config().distill.lr_images == 7.0
        assert run.config().distill.max_start_epoch == 1
        assert run.config().distill.expansion_iterations == 0


def test_a_stopped_tune_resumes_with_the_same_result(
    datm: Datm, tune: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tune("--json", "--name", "whole").json
    write, seen = EventWriter.write, []

    def with_ctrl_c(recorder: EventWriter, event: Event) -> Event:
        """At the second iteration of the second trial."""
        if isinstance(event, Matched) and event.iteration == 2:
            seen.append(event)
            if len(seen) == 2:
                signal.raise_signal(signal.SIGINT)
        return write(recorder, event)

    with monkeypatch.context() as patched:
        patched.setattr(EventWriter, "write", with_ctrl_c)
        stopped = tune()
    assert stopped.code == 130
    again = stopped.err.partition("stopped; resume with: ")[2].splitlines()[0]
    assert again.startswith("datm tune --ipc 1 ")

    resumed = datm(*shlex.split(again)[1:], "--json")
    assert resumed.code == 0, resumed.err
    assert [e.resumed_at for e in events_of(1) if isinstance(e, RunStarted)] == [0, 2]
    assert [e.resumed_at for e in events_of(0) if isinstance(e, RunStarted)] == [0]
    assert without_places(resumed.json) == without_places(whole)
    assert without_places(tune("--json").json) == without_places(whole), "and not made again"
    best = Path("tunes/whole/preset.toml").read_text().partition("[dataset]")[2]
    assert (HOME / "preset.toml").read_text().partition("[dataset]")[2] == best


def test_settings_that_the_first_trial_derives_are_the_centre(
    tune: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its run.json may be stated anew before its first iteration."""
    create_run = prepare_run.create_run

    def deriving(folders: Any, name: str, settled: Any, device: str, on: Any) -> Run:
        run = create_run(folders, name, settled, device, on)
        if name == "trial-000":
            config = run.config()
            derived = config.distill.model_copy(update={"lr_lr": 3e-6, "lr_images": 0.5})
            run.update(
                config.model_copy(update={"distill": derived}),
                derived={"distill.lr_images": {"value": 0.5, "reason": "so"}},
            )
        return run

    monkeypatch.setattr(prepare_run, "create_run", deriving)
    answer = tune("--json")
    assert answer.code == 0, answer.out
    for number in range(3):
        settings = Tune(HOME).run(number).config().distill
        assert settings.lr_lr == 3e-6
        assert 0.05 <= settings.lr_images <= 5.0
    text = (HOME / "preset.toml").read_text()
    assert "lr_lr = 3e-06" in text
    assert "is stated for" not in text

    short = tune("--json", "--iterations", 2, "--name", "short", budget=1)
    assert short.code == 0, short.out
    stated = tomllib.loads(Path("tunes/short/preset.toml").read_text())["distill"]
    assert stated["iterations"] == 8
    assert stated["lr_images"] == 0.25, "derived for 2 iterations: half of it for 8"
    assert stated["lr_lr"] == 3e-6, "not derived"
    assert "derived for 2 iterations is stated for 8" in Path("tunes/short/preset.toml").read_text()


def test_a_trial_that_cannot_be_matched_is_a_finding(tune: Callable[..., Answer]) -> None:
    answer = tune(
        "--set", "distill.threshold=1e-9", "--set", "distill.max_skips_in_a_row=1", budget=2
    )
    assert answer.code == 0, answer.err
    assert "failed: run trial-000: no step was taken" in answer.err
    assert not (HOME / "preset.toml").exists()


@pytest.mark.slow
def test_several_devices_share_a_tune(tune: Callable[..., Answer]) -> None:
    answer = tune("--devices", "cpu,cpu", "--json", budget=3)
    assert answer.code == 0, answer.out
    statuses = [trial["status"] for trial in answer.json["trials"]]
    assert len(statuses) == 3
    assert set(statuses) <= {"complete", "pruned"}
    assert "complete" in statuses


@pytest.mark.slow
def test_an_error_in_a_worker_is_reported_once(tune: Callable[..., Answer], tmp_path: Path) -> None:
    Path("experts").write_text("no folder")
    answer = tune("--devices", "cpu,cpu")
    assert_two_lines(answer, 1, "experts", "ls -l")


@pytest.mark.slow
def test_a_killed_tune_resumes_with_the_same_result(
    tune: Callable[..., Answer], settings: Path
) -> None:
    whole = tune("--json", "--name", "whole").json
    words = ["tune", "--ipc", "1", "--config", str(settings), "--budget", "3", "--quiet"]
    for seconds in killings():
        child = subprocess.Popen([sys.executable, "-P", "-m", "datm_cli", *words], env=os.environ)
        try:
            child.wait(seconds)
            break
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()
    assert without_places(tune("--json").json) == without_places(whole)


def killings() -> Iterator[float]:
    """Seconds after which a process is killed; some before it has begun."""
    return (2.0 + 0.7 * k % 4.0 for k in range(8))


def test_other_settings_want_another_name(tune: Callable[..., Answer], datm: Datm) -> None:
    tune("--quiet", budget=1)
    other = tune("--seed", 3, budget=1)
    assert_two_lines(other, 2, "distill.seed was 0, not 3", "--name digits-ipc1-2")
    held = tune("--set", "distill.lr_lr=1e-5", "--set", "distill.syn_steps=3", budget=1)
    assert_two_lines(held, 2, "held was [], not ['distill.syn_steps']", "--name digits-ipc1-2")
    followed = datm(*shlex.split(other.hint)[1:], "--json")
    assert followed.code == 0, followed.out
    assert followed.json["tune"] == "digits-ipc1-2"


def test_a_tune_without_a_score_is_replaced(tune: Callable[..., Answer]) -> None:
    nothing = tune("--set", "dataset.train_images=10", budget=1)
    assert_two_lines(nothing, 2, "none is held out to score trials on", "train_images=all")
    assert tune("--quiet", budget=1).code == 0


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["--budget", "lots"], "budget lots", "--budget 20"),
        (
            ["--set", "dataset.validation=0", "--set", "evaluate.selection=last"],
            "holds none",
            "=0.1",
        ),
        (["--devices", "cpu,tpu"], "device tpu", "--device auto"),
        (["--device", "cpu", "--devices", "cpu,cpu"], "are both given", "--devices cpu,cpu"),
        (["--name", "a/b"], "cannot be a folder's name", "--name my-tune"),
        (["--dataset", "nothing"], "nothing", "ls ."),
    ],
)
def test_what_cannot_be_is_reported_before_any_work(
    words: list[str], error: str, hint: str, datm: Datm
) -> None:
    answer = datm("tune", *words)
    assert_two_lines(answer, 2 if answer.code == 2 else 1, error, hint)
    assert not Path("tunes").exists()


def test_without_optuna_it_says_what_brings_it(datm: Datm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    assert_two_lines(datm("tune"), 1, "datm tune takes a package", "pip install 'datm[tune]'")


def test_a_damaged_tune_is_reported(tune: Callable[..., Answer]) -> None:
    tune("--quiet", budget=1)
    stated = json.loads((HOME / "tune.json").read_text())
    assert stated["command"].startswith("datm tune --ipc 1")
    (HOME / "tune.json").write_text("{")
    assert_two_lines(tune(), 1, "tune.json is damaged", "mv tunes/digits-ipc1")
