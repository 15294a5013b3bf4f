"""Full screens in tests: on a real terminal by way of tmux, and what they show as text."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from datm_engine.runs.process import Process
from tests.conftest import ROOT

PATIENCE = 90.0  # seconds until a test gives up waiting
UNSET = ("CI", "NO_COLOR", "TMUX", "COLUMNS", "LINES")

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed")


class Terminal:
    """A tmux server of its own with one window, in `folder`."""

    def __init__(self, folder: Path, data_dir: Path) -> None:
        self.folder, self.socket = folder, f"datm-{os.getpid()}-{folder.name[:20]}"
        self.env = {
            **{k: v for k, v in os.environ.items() if k not in UNSET},
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

    def assert_restored(self) -> None:
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


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause(0.01)


def assert_golden(folder: Path, name: str, text: str) -> None:
    """Compare with golden/NAME.txt in the test's folder; DATM_UPDATE_GOLDEN=1 writes it."""
    path = folder / "golden" / f"{name}.txt"
    if os.environ.get("DATM_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} is drawn otherwise than before"
