"""When `datm inspect` opens the gallery and when it prints; and the gallery in a real terminal."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from datm_cli.commands.inspect import inspect
from datm_cli.gallery.gallery_app import GalleryApp
from datm_cli.text import terminal
from datm_engine.errors import ConfigError, FileError, RunError
from tests.conftest import ROOT


@pytest.fixture
def opened(monkeypatch):
    """The galleries that were opened, none of which shows anything."""
    galleries = []

    def run(self):
        galleries.append(self)
        return 0

    monkeypatch.setattr(GalleryApp, "run", run)
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    monkeypatch.setattr(terminal, "set_colours", lambda wanted: None)
    return galleries


@pytest.fixture
def datm(monkeypatch):
    for name in ("DATM_RUNS_DIR", "DATM_NO_TUI", "DATM_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    app = typer.Typer()
    app.command()(inspect)
    return lambda *words: CliRunner().invoke(app, [str(word) for word in words])


@pytest.mark.parametrize("options", [[], ["--no-clip"], ["--class", "cat"], ["--last"]])
def test_on_a_terminal_the_gallery_opens(datm, opened, make_run, options):
    result = datm(make_run(), *options)
    assert result.exit_code == 0, result.exception
    assert not result.stdout
    (gallery,) = opened
    assert gallery.clip == ("--no-clip" not in options)


@pytest.mark.parametrize(
    "options",
    [
        ["--no-tui"],
        ["--json"],
        ["--all"],
        ["--start"],
        ["--large"],
        ["--per-class", "2"],
        ["--save", "a.png"],
    ],
)
def test_what_asks_for_print_is_printed(datm, opened, make_run, options):
    result = datm(make_run(), *options)
    assert result.exit_code == 0, result.exception
    assert result.stdout
    assert not opened


def test_without_a_terminal_it_is_printed(datm, make_run):
    result = datm(make_run())
    assert result.exit_code == 0, result.exception
    assert "3 classes × 4 ipc" in result.stdout


def test_two_are_compared_on_a_terminal_only(datm, opened, make_run, monkeypatch):
    runs = [make_run("a"), make_run("b")]
    assert datm(*runs).exit_code == 0
    assert len(opened) == 1
    monkeypatch.setattr(terminal, "is_interactive", lambda: False)
    error = datm(*runs).exception
    assert isinstance(error, ConfigError)
    assert error.hint == f"datm inspect {runs[0]}"


def test_what_is_not_there_is_told_without_a_screen(datm, opened, make_run):
    assert isinstance(datm("nothing").exception, RunError)
    assert isinstance(datm(make_run(), "nothing").exception, RunError)
    assert not opened


def test_what_the_gallery_met_becomes_the_commands_error(datm, opened, make_run, monkeypatch):
    monkeypatch.setattr(
        GalleryApp, "run", lambda self: setattr(self, "error", FileError("worn", "datm runs"))
    )
    error = datm(make_run()).exception
    assert isinstance(error, FileError)
    assert error.message == "worn"


def test_real_pixels_take_the_extra(datm, opened, make_run, monkeypatch):
    monkeypatch.setitem(sys.modules, "textual_image", None)
    error = datm(make_run(), "--pixels").exception
    assert isinstance(error, ConfigError)
    assert error.hint == "pip install 'datm[pixels]'"
    assert not opened


def test_the_screen_comes_without_torch():
    code = (
        "import sys, datm_cli.gallery.gallery_app; "
        "print({'torch', 'PIL', 'textual_image'} & set(sys.modules))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert result.stdout.strip() == "set()"


# --- a real terminal ---

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux here")


class Tmux:
    """A terminal of its own, on a socket of its own, with a shell."""

    def __init__(self, folder, size):
        self.socket = f"datm-test-{os.getpid()}-{folder.name[:20]}"
        columns, rows = map(str, size)
        shell = "env -u NO_COLOR -u CI -u COLUMNS -u LINES PS1='ready> ' bash --norc --noprofile"
        self("new-session", "-d", "-s", "t", "-x", columns, "-y", rows, "-c", str(ROOT), shell)

    def __call__(self, *words):
        command = ["tmux", "-L", self.socket, "-f", "/dev/null", *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def type(self, line):
        self("send-keys", "-t", "t", "-l", line)
        self.press("Enter")

    def press(self, *keys):
        self("send-keys", "-t", "t", *keys)

    def screen(self):
        return self("capture-pane", "-p", "-t", "t")

    def shows(self, *words):
        """The screen, once all these words are on it."""
        deadline = time.monotonic() + 60
        while True:
            screen = self.screen()
            if all(word in screen for word in words):
                return screen
            assert time.monotonic() < deadline, screen
            time.sleep(0.05)


@pytest.fixture
def tmux(tmp_path):
    started = Tmux(tmp_path, (120, 40))
    yield started
    started("kill-server")


@needs_tmux
def test_in_a_terminal(tmux, make_run):
    run = make_run()
    command = f"{sys.executable} -m datm_cli inspect {run}"
    tmux.type(f"{command}; echo code $?")
    tmux.shows("loading")
    tmux.shows("all classes", "by number", "cat  ", "0.39")
    tmux.press("Enter")
    tmux.shows("all classes › cat", "#3")
    tmux.press("Enter")
    tmux.shows("the set, iteration 400")
    tmux.press("Left")
    tmux.shows("a sample, iteration 300")
    tmux("resize-window", "-t", "t", "-x", "80", "-y", "24")
    tmux.shows("a sample, iteration 300", "history  4 of 5", "c clip\n")
    tmux.press("q")
    screen = tmux.shows("code 0")
    assert "soft label" not in screen, "the terminal is as it was"
    assert tmux("display-message", "-p", "-t", "t", "#{alternate_on}#{mouse_any_flag}") == "00\n"
    assert tmux("display-message", "-p", "-t", "t", "#{cursor_flag}") == "1\n"

    tmux.type(f"clear; {command}; echo code $?")
    tmux.shows("by number", "newt")
    pid = tmux("display-message", "-p", "-t", "t", "#{pane_pid}").strip()
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    os.kill(int(children[0]), 15)
    tmux.shows("code 143")
    assert tmux("display-message", "-p", "-t", "t", "#{alternate_on}#{mouse_any_flag}") == "00\n"
