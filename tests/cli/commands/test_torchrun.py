"""Commands under torchrun, as a person types them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process
from tests.conftest import ROOT
from tests.on_ranks import environment, free_port

TORCHRUN = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

pytestmark = pytest.mark.slow


def words(tmp_path: Path, data_dir: Path, *more: str) -> list[str]:
    places = ["--data-dir", str(data_dir), "--runs-dir", str(tmp_path / "runs")]
    own = ["-m", "datm_cli", "distill", *places, "--experts-dir", str(tmp_path / "experts")]
    return [*TORCHRUN, *own, *more]


def run_(command: list[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, timeout=600)


def test_a_result_is_printed_once(tmp_path: Path, data_dir: Path, settings: Path) -> None:
    ended = run_(words(tmp_path, data_dir, "--config", str(settings), "--name", "r", "--json"))
    assert ended.returncode == 0, ended.stderr
    (line,) = ended.stdout.strip().splitlines()
    assert json.loads(line)["status"] == "done"
    run = Run(tmp_path / "runs" / "r")
    assert run.status() == "done"
    assert "2 ranks on cpu" in run.manifest().device
    assert not run.process_file.exists()


def test_two_ranks_derive_what_one_does(tmp_path: Path, data_dir: Path) -> None:
    small = ["network.width=4", "experts.count=2", "experts.epochs=6", "evaluate.epochs=5"]
    small += ["evaluate.repeats=2", "evaluate.against=['random']", "evaluate.selection=last"]
    sets = [word for assignment in small for word in ("--set", assignment)]
    asked = ["--dataset", "digits", "--ipc", "2", "--iterations", "2", "--device", "cpu", *sets]
    two = words(tmp_path, data_dir, *asked, "--no-tui", "--name", "two")
    one = [sys.executable, *two[len(TORCHRUN) : -1], "one"]
    for command in (two, one):
        ended = run_(command)
        assert ended.returncode == 0, ended.stderr
    facts = [Run(tmp_path / "runs" / name).manifest() for name in ("one", "two")]
    assert facts[0].derived == facts[1].derived
    assert facts[0].random == facts[1].random
    assert facts[0].config == facts[1].config


def test_an_error_is_reported_once(tmp_path: Path, data_dir: Path, settings: Path) -> None:
    ended = run_(words(tmp_path, data_dir, "--config", str(settings), "--ipc", "99999"))
    assert ended.returncode != 0
    text = [line for line in ended.stderr.splitlines() if line.startswith(("error:", "hint:"))]
    assert len(text) == 2, ended.stderr
    assert "99999" in text[0]
    ended = run_(words(tmp_path, data_dir, "--ipx", "1"))
    assert sum(line.startswith("error:") for line in ended.stderr.splitlines()) == 1


def test_a_rank_that_is_killed(tmp_path: Path, data_dir: Path, settings: Path) -> None:
    """Two lines, a whole checkpoint, and one rank resumes from it."""
    long = ["--iterations", "100000", "--set", "evaluate.selection=last", "--no-tui"]
    command = words(tmp_path, data_dir, "--config", str(settings), "--name", "r", *long)
    started = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.PIPE, text=True)
    run = Run(tmp_path / "runs" / "r")
    deadline = time.monotonic() + 600
    while not (run.checkpoint.exists() and '"Matched"' in run.event_log.read_text()):
        assert time.monotonic() < deadline
        assert started.poll() is None
        time.sleep(0.05)
    first = Process.read(run.process_file)
    assert first is not None
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children").read_text().split()
    (second,) = {int(pid) for pid in children} - {first.pid}
    os.kill(second, signal.SIGKILL)
    said = started.communicate(timeout=300)[1]
    text = [line for line in said.splitlines() if line.startswith(("error:", "hint:"))]
    assert len(text) == 2, said
    assert "another rank was lost" in text[0]
    assert text[1].startswith("hint: torchrun --nproc-per-node 2 -m datm_cli distill --resume")
    assert run.status() == "failed"
    done = Checkpoint.load(run.checkpoint).progress.iteration
    alone = [sys.executable, "-m", "datm_cli", "distill", "--resume", str(run.path), "--quiet"]
    fewer = run_([*alone, "--iterations", str(done + 3)])
    assert fewer.returncode == 0, fewer.stderr
    assert run.status() == "done"


def test_the_first_rank_is_killed_where_it_was_the_meeting_place(
    tmp_path: Path, data_dir: Path, settings: Path
) -> None:
    """As on a cluster without torchrun: the other one says so in two lines, and no more."""
    long = ["--iterations", "100000", "--set", "evaluate.selection=last", "--no-tui"]
    typed = words(tmp_path, data_dir, "--config", str(settings), "--name", "r", *long)
    command, port = [sys.executable, *typed[len(TORCHRUN) :]], free_port()
    first, second = (
        subprocess.Popen(command, env=environment(n, 2, port), stderr=subprocess.PIPE, text=True)
        for n in range(2)
    )
    run = Run(tmp_path / "runs" / "r")
    deadline = time.monotonic() + 600
    while not (run.checkpoint.exists() and '"Matched"' in run.event_log.read_text()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    first.kill()
    first.communicate()
    text = second.communicate(timeout=300)[1].strip().splitlines()
    assert second.returncode == 1
    assert len(text) == 2, text
    assert text[0].startswith("error: rank 1 of 2: another rank was lost")
    assert text[1].startswith("hint: datm distill --resume")
    assert run.status() == "crashed"
    assert Checkpoint.load(run.checkpoint).progress.iteration >= 0
