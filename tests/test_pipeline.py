"""The whole road on a tiny set: what it leaves, and that interruptions change nothing."""

from __future__ import annotations

import itertools
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import Compiler, Runtime
from datm_engine.distillation.distilled_sets import read_distilled
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import (
    CandidateScored,
    Evaluated,
    EvaluationChanged,
    Matched,
    RunEnded,
    RunStarted,
    SampleSaved,
)
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from tests.conftest import ROOT

Make = Callable[..., Config]
NEVER = lambda: False  # noqa: E731


def walk(
    config: Config,
    folders: Folders,
    name: str,
    cpu: Runtime,
    stop: Callable[[], bool] = NEVER,
) -> tuple[Run, list[Any], Any]:
    """The road in a run of its own, or on with the one of that name."""
    if (folders.runs / name).exists():
        run = Run.open(folders.runs, name)
    else:
        run = Run.create(folders.runs, name, config, {})
    with run.recording() as record:
        seen: list[Any] = []
        with record.recorded(seen.append) as emit:
            outcome = make_distilled_set(config, run, folders, replace(cpu, stop=stop), emit=emit)
    return run, seen, outcome


def test_the_road_leaves_what_it_says(make_config: Make, folders: Folders, cpu: Runtime) -> None:
    config = make_config()
    run, seen, outcome = walk(config, folders, "whole", cpu)
    assert outcome.status == "done"
    matched = [event for event in seen if isinstance(event, Matched)]
    assert [event.iteration for event in matched] == list(range(1, 9))
    assert [event.upper for event in matched] == [2, 2, 2, 2, 3, 3, 3, 3]
    assert all(0 <= e.start_epoch < e.upper for e in matched)
    assert all(e.target_epoch == e.start_epoch + 1 for e in matched)
    saved = [(e.iteration, e.path) for e in seen if isinstance(e, SampleSaved)]
    assert (1, "preview.safetensors") in saved
    assert run.preview.exists()
    assert [(at, path) for at, path in saved if path.startswith("samples/")] == [
        (0, "samples/initial.safetensors"),
        (4, "samples/000004.safetensors"),
        (8, "samples/000008.safetensors"),
    ]
    assert all((run.path / path).exists() for _, path in saved)
    scored = [event for event in seen if isinstance(event, CandidateScored)]
    assert [event.iteration for event in scored] == [3, 6, 8]
    assert {event.part for event in scored} == {"validation"}
    best = max(scored, key=lambda event: event.accuracy)
    distilled = SyntheticSet.load(run.distilled)
    assert distilled.iteration == best.iteration
    assert distilled.images.shape == (10, 1, 8, 8)
    assert distilled.labels.shape == (10, 10)
    last = read_distilled(run, last=True)
    assert last.iteration == 8
    rows = {event.set: event for event in seen if isinstance(event, Evaluated)}
    expected = {"distilled", "random"} | ({"distilled-last"} if best.iteration != 8 else set())
    assert set(rows) == expected
    assert all(row.repeats == 2 and row.images == 10 for row in rows.values())
    assert all(0 <= (row.validation_mean or -1) <= 100 for row in rows.values())
    assert seen.index(rows["random"]) > seen.index(rows["distilled"]), "real images come last"
    assert isinstance(seen[0], RunStarted)
    assert run.events() == seen, "what was recorded is what was said"
    assert run.status() == "done"
    assert isinstance(seen[-1], RunEnded)


def contents(run: Run) -> dict[str, bytes]:
    files = [run.distilled, run.checkpoint, *sorted(run.samples.iterdir())]
    return {file.name: file.read_bytes() for file in files}


def matched_of(run: Run) -> list[Any]:
    """What a run says of its iterations, without when and how long."""
    return [
        (e.iteration, e.loss, e.expert, e.start_epoch, e.syn_lr, e.skipped)
        for e in run.state().matched
    ]


@pytest.mark.parametrize(
    "distill",
    [
        {"labels": "soft"},
        {"labels": "hard"},
        {"averaging": 0.9, "gradient": "tesla"},
        {"matched_share": 0.5, "trajectories": "convex", "mirrored": True},
    ],
    ids=["soft", "hard", "averaged, TESLA's", "later ideas"],
)
def test_stopped_anywhere_and_resumed_it_is_bit_for_bit_the_same(
    distill: dict[str, Any], make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    """Stopped again and again, each time after a few more questions than before."""
    config = make_config(distill=distill)
    whole, _, _ = walk(config, folders, "whole", cpu)
    for patience in itertools.count(1, 3):
        questions = itertools.count()
        stop = lambda q=questions, p=patience: next(q) >= p  # noqa: E731
        run, _, outcome = walk(config, folders, "halting", cpu, stop)
        if outcome.status == "done":
            break
        assert run.status() == "stopped"
    assert patience > 20, "it was stopped in many places"
    assert contents(run) == contents(whole)
    assert matched_of(run) == matched_of(whole)


def test_real_images_are_evaluated_once_however_often_a_run_goes_on(
    make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    config = make_config(evaluate={"against": ["random", "full"]})
    short = make_config(distill={"iterations": 4}, evaluate={"against": ["random", "full"]})
    _, _, first = walk(short, folders, "once", cpu)
    run, seen, second = walk(config, folders, "once", cpu)
    rows = [event.set for event in seen if isinstance(event, Evaluated)]
    assert not {"random", "full"} & set(rows)
    before, after = (
        {row.set: row.accuracy_mean for row in outcome.results} for outcome in (first, second)
    )
    assert before["random"] == after["random"]
    assert {"distilled", "random", "full"} <= {row.set for row in second.results}
    result = [row.set for row in run.state().results]
    assert result.count("random") == result.count("full") == result.count("distilled") == 1
    with run.recording() as record:
        record.write(EvaluationChanged())
    _, seen, _ = walk(config, folders, "once", cpu)
    assert {"random", "full"} <= {event.set for event in seen if isinstance(event, Evaluated)}


def test_more_iterations_go_on_exactly(make_config: Make, folders: Folders, cpu: Runtime) -> None:
    whole, _, _ = walk(make_config(), folders, "whole", cpu)
    walk(make_config(distill={"iterations": 5}), folders, "longer", cpu)
    run, _, _ = walk(make_config(), folders, "longer", cpu)
    ours, theirs = Checkpoint.load(run.checkpoint), Checkpoint.load(whole.checkpoint)
    assert all(torch.equal(ours.learned[name], theirs.learned[name]) for name in ours.learned)


COMMAND = [
    sys.executable,
    "-m",
    "datm_cli",
    "distill",
    "--dataset",
    "digits",
    "--ipc",
    "1",
    "--quiet",
]


def kill_after(iteration: int, command: list[str], events: Path, env: dict[str, str]) -> None:
    """Start the command and SIGKILL it as soon as it has logged an iteration."""
    process = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    try:
        while process.poll() is None and time.monotonic() < deadline:
            seen = events.read_text() if events.exists() else ""
            if f'"iteration": {iteration},' in seen:
                break
            time.sleep(0.002)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL, "it ended before it could be killed"


@pytest.mark.slow  # tests/faults kills runs too, in processes that cost less to start
@pytest.mark.parametrize("compiling", ["off", "on"])
def test_killed_and_resumed_it_is_bit_for_bit_the_same(
    compiling: str, make_config: Make, folders: Folders, cpu: Runtime
) -> None:
    config = make_config(
        distill={"iterations": 60, "sample_interval": 20, "checkpoint_seconds": 0.02},
        evaluate={"selection_interval": 25},
    )
    on = replace(cpu, compiler=Compiler(compiling))
    whole, _, _ = walk(config, folders, "whole", on)
    env = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    places = ["--data-dir", str(folders.data), "--experts-dir", str(folders.experts)]
    places += ["--runs-dir", str(folders.runs)]
    start = [*COMMAND, *places, "--name", "killed", "--config", str(whole.path / "run.json")]
    # As the whole run: graphs that are kept and graphs built again round otherwise.
    start += ["--compile", compiling, "--memory", "0"]
    events = folders.runs / "killed" / "events.jsonl"
    kill_after(13, start, events, env)
    assert Run.open(folders.runs, "killed").status() == "crashed"
    resume = [*COMMAND[:4], "--quiet", *places, "--resume", "killed"]
    kill_after(37, resume, events, env)
    ended = subprocess.run(resume, env=env, check=True, capture_output=True, text=True)
    assert "distilled" in ended.stdout
    run = Run.open(folders.runs, "killed")
    assert contents(run) == contents(whole)
    assert matched_of(run) == matched_of(whole)
