"""`datm study` as it is typed: its runs, its files, and what a person can get wrong."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datm_cli.studies import study_runner
from datm_engine.pipeline import Outcome
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Emit, Evaluated, EvaluationProgress, Event, Matched, RunStarted
from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]
WINDOWS = [
    f"study-digits-ipc{ipc}-{which}" for ipc in (1, 2) for which in ("early", "middle", "late")
]


@pytest.fixture
def study(datm: Datm, settings: Path) -> Callable[..., Answer]:
    """A study of windows of 1 and 2 images per class, with settings that make it tiny."""

    def type_(*words: object, kind: str = "window", ipc: str = "1,2") -> Answer:
        return datm("study", kind, "--ipc", ipc, "--config", settings, *words)

    return type_


@pytest.fixture
def compare(study: Callable[..., Answer]) -> Callable[..., Answer]:
    """A study of methods, and a quicker one: of as many runs as there are `methods`."""

    def type_(*words: object, methods: str = "datm") -> Answer:
        return study("--methods", methods, *words, kind="methods", ipc="1")

    return type_


def test_windows_are_studied_and_not_again(study: Callable[..., Answer]) -> None:
    answer = study("--json", "--against", "random,full")
    assert answer.code == 0, answer.err
    assert answer.err == ""
    result = answer.json
    assert (result["study"], result["name"], result["status"]) == ("window", "digits", "done")
    assert [run["run"] for run in result["runs"]] == WINDOWS
    assert {run["window"] for run in result["runs"]} == {"0–0", "1–1", "2–3"}
    assert len(result["cells"]) == 3 * 2 + 2 + 1
    assert all(0 < cell["accuracy_mean"] <= 100 for cell in result["cells"])
    assert result["findings"][0].startswith("At 1 per class ")
    assert len(list(Path("experts").iterdir())) == 1, "one set of experts for all"

    folder = Path("studies/digits-window")
    files = ["study.json", "study.md", "accuracy.svg", "strips.png", "report.html"]
    assert result["files"] == [str(folder / name) for name in files]
    kept = json.loads((folder / "study.json").read_text())
    assert kept == {key: value for key, value in result.items() if key != "files"}
    with Image.open(folder / "strips.png") as sheet:
        assert sheet.width > 6 * 96, "the start and five samples"
        assert sheet.height > 2 * 3 * 2 * 96, "at both ipc, of three images, early and late"

    assert {"random", "full"} <= trained(WINDOWS[0])
    assert not {"random", "full"} & (trained(WINDOWS[1]) | trained(WINDOWS[2])), "measured before"
    assert "random" in trained(WINDOWS[3])
    assert "full" not in trained(WINDOWS[3]), "the same for every ipc"
    assert rows(WINDOWS[0])["random"] == rows(WINDOWS[2])["random"]
    assert len({rows(name)["full"] for name in WINDOWS}) == 1

    again = study("--against", "random,full")
    assert again.err.count(": done") == 6
    assert f"run 6 of 6, {WINDOWS[-1]}: done" in again.err
    assert all(starts(name) == [0] for name in WINDOWS), "nothing is made twice"
    for text in ("ipc 1", "early (0–0)", "random images", "all images"):
        assert text in again.out
    assert "At 2 per class" in again.out
    assert "studies/digits-window/report.html" in again.err


def trained(name: str) -> set[str]:
    """What networks were trained on in a run."""
    events = Run(Path("runs", name)).events()
    return {e.set for e in events if isinstance(e, EvaluationProgress)}


def rows(name: str) -> dict[str, float]:
    events = Run(Path("runs", name)).events()
    return {e.set: e.accuracy_mean for e in events if isinstance(e, Evaluated)}


def starts(name: str) -> list[int]:
    """The iterations that a run was started at."""
    events = Run(Path("runs", name)).events()
    return [e.resumed_at for e in events if isinstance(e, RunStarted)]


def test_a_stopped_study_resumes_with_the_same_result(
    datm: Datm, compare: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = compare("--json", "--name", "whole", methods="datm,mtt").json
    make, begun = study_runner.make_distilled_set, []

    def with_ctrl_c(*given: Any, emit: Emit) -> Outcome:
        """In the second run, at its third iteration."""
        begun.append(given)

        def interrupted(event: Event) -> None:
            emit(event)
            if len(begun) == 2 and isinstance(event, Matched) and event.iteration == 3:
                signal.raise_signal(signal.SIGINT)

        return make(*given, emit=interrupted)

    with monkeypatch.context() as patched:
        patched.setattr(study_runner, "make_distilled_set", with_ctrl_c)
        stopped = compare("--to", "here", methods="datm,mtt")
    assert stopped.code == 130
    assert "stopped with 1 of 2 runs to make; resume with: datm study methods" in stopped.err
    assert json.loads(Path("here/study.json").read_text())["status"] == "incomplete"
    assert "| mtt | – |" in Path("here/study.md").read_text()

    again = stopped.err.partition("resume with: ")[2].splitlines()[0]
    resumed = datm(*shlex.split(again)[1:], "--json")
    assert resumed.code == 0, resumed.err
    assert starts("study-digits-ipc1-datm") == [0]
    assert starts("study-digits-ipc1-mtt") == [0, 3]
    assert resumed.json["cells"] == whole["cells"]
    assert resumed.json["findings"] == whole["findings"]


def test_more_networks_are_evaluated_without_distilling_again(
    compare: Callable[..., Answer],
) -> None:
    compare("--quiet")
    more = compare("--json", "--networks", "convnet,mlp")
    assert more.code == 0, more.out
    assert more.json["networks"] == ["convnet", "mlp"]
    assert all(cell["accuracy_mean"] is not None for cell in more.json["cells"])
    assert "studies/digits-methods/accuracy-mlp.svg" in more.json["files"]
    events = Run(Path("runs/study-digits-ipc1-datm")).events()
    matched = [event.iteration for event in events if isinstance(event, Matched)]
    assert matched == list(range(1, 9))


def test_a_run_that_cannot_be_matched_is_a_finding(study: Callable[..., Answer]) -> None:
    """Its others are made, and the study ends with what is wrong."""
    tight = study(
        "--set", "distill.threshold=1e-9", "--set", "distill.max_skips_in_a_row=2", ipc="1"
    )
    assert_two_lines(tight, 1, "no step was taken", "--set distill.threshold=")
    assert tight.out.count("failed") >= 3
    assert "failed: matching could not continue." in tight.out
    assert "cannot be judged" in tight.out or "One ipc alone" in tight.out
    assert "resume with" not in tight.err


def test_methods_are_compared(compare: Callable[..., Answer]) -> None:
    answer = compare("--json", methods="datm,mtt")
    assert answer.code == 0, answer.out
    result = answer.json
    assert result["variants"] == ["datm", "mtt"]
    assert [run["run"] for run in result["runs"]] == [
        "study-digits-ipc1-datm",
        "study-digits-ipc1-mtt",
    ]
    assert {cell["set"] for cell in result["cells"]} == {"datm", "mtt", "random"}
    assert all(cell["accuracy_mean"] is not None for cell in result["cells"])
    labels = [Run(Path("runs", run["run"])).config().distill.labels for run in result["runs"]]
    assert labels == ["soft", "hard"]
    assert not any(name.endswith("strips.png") for name in result["files"])


def test_other_settings_want_another_name(datm: Datm, compare: Callable[..., Answer]) -> None:
    compare("--quiet")
    other = compare("--iterations", 5, "--seed", 3)
    assert_two_lines(other, 2, "distill.iterations was 8, not 5", "--name digits-2")
    followed = datm(*shlex.split(other.hint)[1:], "--json")
    assert followed.code == 0, followed.out
    assert followed.json["name"] == "digits-2"
    assert followed.json["runs"][0]["run"] == "study-digits-2-ipc1-datm"


@pytest.mark.parametrize(
    ("words", "error", "hint"),
    [
        (["windows", "--ipc", "3"], "no study of windows", "datm study window --ipc 3"),
        (["window", "--ipc", "1,x"], "--ipc 1,x", "--ipc 1,10,50"),
        (["window", "--ipc", "0"], "--ipc 0", "--ipc 1,10,50"),
        (["window", "--methods", "mtt"], "--methods is for", "datm study window"),
        (["methods", "--methods", "mtt,dm"], "there is no method dm", "--methods mtt,datm"),
        (["methods", "--methods", "datm,fyi"], "in two ways", "--set evaluate.mirrored=true"),
        (["window", "--networks", "resnet"], "evaluate.networks", "--help"),
        (["window", "--set", "distill.max_start_epoch=3"], "given twice", "datm study window"),
        (["window", "--set", "experts.epochs=3"], "too few start epochs", "experts.epochs=4"),
        (["window", "--dataset", "nothing"], "nothing", "ls ."),
        (["window", "--to", "."], "--to .: has no name of its own", "--to studies/mine"),
    ],
)
def test_what_cannot_be_is_reported_before_any_work(
    words: list[str], error: str, hint: str, datm: Datm
) -> None:
    answer = datm("study", *words)
    assert_two_lines(answer, 2 if answer.code == 2 else 1, error, hint)
    assert not Path("runs").exists()
    assert not Path("studies").exists()
