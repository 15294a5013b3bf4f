"""On a real terminal, by way of tmux: attach, detach, lose it, come back, stop."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from datm_engine.distillation.distilled_sets import progress
from datm_engine.runs.directory import Run
from tests.cli.full_screen import Terminal, needs_tmux, wait
from tests.conftest import ROOT, tiny_config

pytestmark = needs_tmux

DATM = f"{sys.executable} -m datm_cli"


@pytest.fixture
def terminal(tmp_path: Path, data_dir: Path) -> Iterator[Terminal]:
    made = Terminal(tmp_path, data_dir)
    yield made
    made.close()
    for run in Run.all(tmp_path / "runs"):
        run.stop_file.touch()
        wait(lambda run=run: run.status() != "running")  # type: ignore[misc]


@pytest.fixture
def endless(tmp_path: Path) -> str:
    """The options of a run that lasts longer than any test, in small steps."""
    config = tiny_config(
        distill={"iterations": 1_000_000, "checkpoint_seconds": 1.0},
        evaluate={"selection_interval": 1_000_000},
    )
    (tmp_path / "run.json").write_text(json.dumps({"config": config.model_dump()}))
    return "--config run.json --name r --yes"


def test_a_run_outlives_every_screen(terminal: Terminal, endless: str) -> None:
    terminal.open(80, 24)
    terminal.type(f"{DATM} distill {endless}")
    terminal.until("r running", "matching loss", "q leave")
    run = Run(terminal.folder / "runs" / "r")

    terminal.press("q")
    terminal.until("run r continues; watch it: datm monitor")
    terminal.assert_restored()
    assert run.status() == "running"

    terminal.type(f"clear; {DATM} monitor")
    terminal.until("r running", "matching loss")
    terminal.press("2")
    terminal.until("images at iteration")
    terminal.tmux("resize-window", "-x", "120", "-y", "40")
    wait(lambda: any(len(line) > 80 for line in terminal.screen().splitlines()))
    terminal.press("2")
    terminal.until("images at iteration", "matching loss", "✓ experts")

    viewers = terminal.viewers()
    assert viewers
    terminal.close()
    wait(lambda: not any(viewer.is_alive for viewer in viewers))
    assert run.status() == "running", "its terminal was killed, and it continues"

    terminal.open(120, 40)
    terminal.type(f"{DATM} monitor r")
    terminal.until("r running")
    terminal.press("x")
    terminal.until("Stop run r?")
    terminal.press("y")
    terminal.until("■ r stopped")
    terminal.press("C-c")
    terminal.until("run r is stopped; resume it: datm distill --resume")
    terminal.assert_restored()
    assert run.checkpoint.exists()


@pytest.mark.parametrize("pause", [0.0, 1.0])
def test_a_run_that_is_stopped_at_once_is_stopped(
    terminal: Terminal, endless: str, pause: float
) -> None:
    terminal.open(80, 24)
    terminal.type(f"{DATM} distill {endless}")
    terminal.until("r running")
    time.sleep(pause)
    terminal.press("x")
    terminal.until("Stop run r?")
    terminal.press("y")
    terminal.until("■ r stopped")
    run = Run(terminal.folder / "runs" / "r")
    assert run.state().status == "stopped"
    assert not run.stop_file.exists() or run.status() == "stopped"


def test_stopped_from_elsewhere_and_gone_on_with(terminal: Terminal, endless: str) -> None:
    terminal.open(120, 40)
    terminal.type(f"{DATM} distill {endless}")
    terminal.until("matching loss")
    where = ["--runs-dir", str(terminal.folder / "runs")]
    stopped = subprocess.run(
        [sys.executable, "-m", "datm_cli", "stop", "r", "--json", *where],
        env=terminal.env,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(stopped.stdout) == {"run": "r", "status": "stopped"}
    terminal.until("■ r stopped")
    done = progress(Run(terminal.folder / "runs" / "r")).iteration
    terminal.press("q")
    terminal.until("ready")
    terminal.type(f"clear; {DATM} distill --resume r --iterations {done + 3}")
    terminal.until("r done", "evaluate")
    terminal.press("q")
    terminal.until("run r is done in", "\nview it: datm inspect r\n")


@pytest.mark.parametrize(("signal", "code"), [("TERM", 143), ("HUP", 129)])
def test_a_signal_leaves_the_terminal_sane(
    terminal: Terminal, endless: str, signal: str, code: int
) -> None:
    finished = Run(terminal.folder / "runs" / "r")
    finished.samples.mkdir(parents=True)
    shutil.copy(terminal.folder / "run.json", finished.path / "run.json")
    terminal.open()
    terminal.type(f"{DATM} monitor r; echo code $?")
    terminal.until("no values yet")
    for viewer in terminal.viewers():
        subprocess.run(["kill", f"-{signal}", str(viewer.pid)], check=True)
    terminal.until(f"code {code}")
    terminal.assert_restored()


def test_ctrl_z_and_back(terminal: Terminal, endless: str) -> None:
    finished = Run(terminal.folder / "runs" / "r")
    finished.samples.mkdir(parents=True)
    shutil.copy(terminal.folder / "run.json", finished.path / "run.json")
    terminal.open()
    terminal.type(f"{DATM} monitor r")
    terminal.until("no values yet")
    terminal.press("C-z")
    terminal.until("Stopped")
    terminal.type("clear; fg")
    terminal.until("no values yet", "training loss", "q leave")
    terminal.press("q")
    terminal.until("run r is new")


def test_no_colour_means_none(terminal: Terminal, endless: str) -> None:
    finished = Run(terminal.folder / "runs" / "r")
    finished.samples.mkdir(parents=True)
    shutil.copy(terminal.folder / "run.json", finished.path / "run.json")
    terminal.open()
    terminal.type(f"{DATM} monitor r --color none")
    terminal.until("no values yet")
    codes = [code.partition("m")[0] for code in terminal.screen("-e").split("\x1b[")[1:]]
    codes_used = {part for code in codes for part in code.split(";")}
    assert codes_used <= {"", "0", "1", "2", "3", "4", "7", "22", "23", "24", "27", "39", "49"}, (
        codes_used
    )


@pytest.mark.parametrize("options", [[], ["--json"]])
def test_without_a_terminal_there_are_plain_lines(
    options: list[str], terminal: Terminal, endless: str
) -> None:
    short = ["--iterations", "3", "--set", "evaluate.repeats=1", *options]
    with (terminal.folder / "o").open("wb") as out, (terminal.folder / "e").open("wb") as err:
        code = subprocess.call(
            [sys.executable, "-m", "datm_cli", "distill", *endless.split(), *short],
            env=terminal.env,
            cwd=terminal.folder,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=err,
        )
    printed = (terminal.folder / "o").read_bytes() + (terminal.folder / "e").read_bytes()
    assert code == 0
    assert b"distilled" in printed
    assert b"\x1b" not in printed
    assert b"\r" not in printed
    if options:
        assert json.loads((terminal.folder / "o").read_text())["iterations"] == 3
        assert b"distilled, convnet" in (terminal.folder / "e").read_bytes()


def test_the_dashboard_needs_a_terminal(terminal: Terminal, endless: str) -> None:
    finished = Run(terminal.folder / "runs" / "r")
    finished.samples.mkdir(parents=True)
    shutil.copy(terminal.folder / "run.json", finished.path / "run.json")
    result = subprocess.run(
        [sys.executable, "-m", "datm_cli", "monitor"],
        env=terminal.env,
        cwd=terminal.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 1
    error, hint = result.stderr.splitlines()
    assert error == "error: the dashboard needs a terminal to draw on"
    assert hint.startswith("hint: datm runs")
