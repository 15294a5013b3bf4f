"""On a real terminal, by way of tmux: attach, detach, lose it, come back, stop."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from datm_engine.distillation.distilled_sets import progress
from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process
from tests.conftest import ROOT, tiny_config

pytestmark = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")

DATM = f"{sys.executable} -m datm_cli"
PATIENCE = 90.0  # seconds until a condition counts as never to come


class Terminal:
    """A terminal of its own, in `folder`."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder, self.socket = folder, f"datm-{os.getpid()}-{folder.name}"
        self.env = {
            **{k: v for k, v in os.environ.items() if k not in ("CI", "NO_COLOR", "TMUX")},
            "PYTHONPATH": str(ROOT),
            "OMP_NUM_THREADS": "1",
            "DATM_DATA_DIR": str(data_dir),
            "TERM": "xterm-256color",
            "LC_ALL": "C.UTF-8",
        }

    def tmux(self, *words: str) -> str:
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        done = subprocess.run(command, env=self.env, capture_output=True, text=True, check=False)
        return done.stdout

    def open(self, columns: int = 80, rows: int = 24) -> None:
        prompt = self.folder / "prompt"
        prompt.write_text("PS1='ready '\n")
        shell = f"bash --noprofile --rcfile {prompt}"
        size = ["-x", str(columns), "-y", str(rows)]
        self.tmux("new-session", "-d", "-c", str(self.folder), *size, shell)
        self.until("ready")

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)
        self.tmux("send-keys", "Enter")

    def press(self, key: str) -> None:
        self.tmux("send-keys", key)

    def screen(self, *options: str) -> str:
        return self.tmux("capture-pane", "-p", *options)

    def until(self, *texts: str) -> str:
        """The screen once it shows all these."""
        deadline = time.monotonic() + PATIENCE
        while True:
            screen = self.screen()
            if all(text in screen for text in texts):
                return screen
            assert time.monotonic() < deadline, f"never saw {texts} but:\n{screen}"
            time.sleep(0.05)

    def viewers(self) -> list[Process]:
        """What the shell has started in the foreground."""
        shell = self.tmux("list-panes", "-F", "#{pane_pid}").split()[0]
        found = subprocess.run(["pgrep", "-P", shell], capture_output=True, text=True, check=True)
        return [Process.of(int(pid)) for pid in found.stdout.split()]

    def close(self) -> None:
        self.tmux("kill-server")

    def is_as_it_was(self) -> None:
        """Back at a prompt that echoes, no alternate screen, a cursor, no mouse reporting."""
        self.type("echo s''ane")
        self.until("sane")
        asked = "#{alternate_on} #{cursor_flag} #{mouse_any_flag}"
        assert self.tmux("display-message", "-p", asked).split() == ["0", "1", "0"]


def wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


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
    """The options of a run that goes on for as long as any test, in small steps."""
    config = tiny_config(
        distill={"iterations": 1_000_000, "checkpoint_seconds": 1.0},
        evaluate={"selection_interval": 1_000_000},
    )
    (tmp_path / "run.json").write_text(json.dumps({"config": config.model_dump()}))
    return "--config run.json --name r"


def test_a_run_outlives_every_screen(terminal: Terminal, endless: str) -> None:
    terminal.open(80, 24)
    terminal.type(f"{DATM} distill {endless}")
    terminal.until("r running", "matching loss", "T⁻ 0", "q leave")
    run = Run(terminal.folder / "runs" / "r")

    terminal.press("q")
    terminal.until("run r continues; watch it: datm monitor")
    terminal.is_as_it_was()
    assert run.status() == "running"

    terminal.type(f"clear; {DATM} monitor")
    terminal.until("r running", "matching loss")
    terminal.press("2")
    terminal.until("images at iteration")
    terminal.tmux("resize-window", "-x", "120", "-y", "40")
    terminal.press("2")
    terminal.until("images at iteration", "matching loss", "experts    ━")

    viewers = terminal.viewers()
    assert viewers
    terminal.close()
    wait(lambda: not any(viewer.is_alive for viewer in viewers))
    assert run.status() == "running", "its terminal was killed, and it goes on"

    terminal.open(120, 40)
    terminal.type(f"{DATM} monitor r")
    terminal.until("r running")
    terminal.press("x")
    terminal.until("Stop run r?")
    terminal.press("y")
    terminal.until("■ r stopped")
    terminal.press("C-c")
    terminal.until("run r is stopped; resume it: datm distill --resume")
    terminal.is_as_it_was()
    assert run.checkpoint.exists()


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
    terminal.until("run r is done; view it: datm inspect")


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
    terminal.is_as_it_was()


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
    told = {part for code in codes for part in code.split(";")}
    assert told <= {"", "0", "1", "2", "3", "4", "7", "22", "23", "24", "27", "39", "49"}, told


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
        assert (terminal.folder / "e").read_bytes() == b""


def test_the_dashboard_needs_a_terminal(terminal: Terminal, endless: str) -> None:
    finished = Run(terminal.folder / "runs" / "r")
    finished.samples.mkdir(parents=True)
    shutil.copy(terminal.folder / "run.json", finished.path / "run.json")
    told = subprocess.run(
        [sys.executable, "-m", "datm_cli", "monitor"],
        env=terminal.env,
        cwd=terminal.folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 1
    error, hint = told.stderr.splitlines()
    assert error == "error: the dashboard needs a terminal to draw on"
    assert hint.startswith("hint: datm runs")
