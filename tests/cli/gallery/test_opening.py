"""When `datm inspect` opens the gallery and when it prints; and the gallery in a real terminal."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from datm_cli.commands.inspect import inspect
from datm_cli.gallery.gallery_app import GalleryApp
from datm_cli.text import terminal as text_terminal
from datm_engine.errors import ConfigError, FileError, RunError
from datm_engine.hints import fix_text
from tests.cli.full_screen import Terminal, needs_tmux
from tests.conftest import ROOT


@pytest.fixture
def opened(monkeypatch):
    """The galleries that were opened, none of which shows anything."""
    galleries = []

    def run(self):
        galleries.append(self)
        return 0

    monkeypatch.setattr(GalleryApp, "run", run)
    monkeypatch.setattr(text_terminal, "is_interactive", lambda: True)
    monkeypatch.setattr(text_terminal, "set_colours", lambda wanted: None)
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
    monkeypatch.setattr(text_terminal, "is_interactive", lambda: False)
    error = datm(*runs).exception
    assert isinstance(error, ConfigError)
    assert fix_text(error.fix) == f"datm inspect {runs[0]}"


def test_what_is_not_there_is_reported_without_a_screen(datm, opened, make_run):
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
    assert fix_text(error.fix) == "pip install 'datm[pixels]'"
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


@pytest.fixture
def terminal(tmp_path, data_dir):
    opened = Terminal(tmp_path, data_dir)
    opened.open(120, 40)
    yield opened
    opened.close()


@needs_tmux
def test_in_a_terminal(terminal, make_run):
    command = f"{sys.executable} -m datm_cli inspect {make_run()}"
    terminal.type(f"{command}; echo code $?")
    terminal.until("loading")
    terminal.until("all classes", "by number", "cat  ", "0.39")
    terminal.press("Enter")
    terminal.until("all classes › cat", "#3")
    terminal.press("Enter")
    terminal.until("the set, iteration 400")
    terminal.press("Left")
    terminal.until("a sample, iteration 300")
    terminal.tmux("resize-window", "-x", "80", "-y", "24")
    terminal.until("a sample, iteration 300", "history  4 of 5", "c clip\n")
    terminal.press("q")
    assert "soft label" not in terminal.until("code 0")
    terminal.assert_restored()

    terminal.type(f"clear; {command}; echo code $?")
    terminal.until("by number", "newt")
    (viewer,) = terminal.viewers()
    os.kill(viewer.pid, signal.SIGTERM)
    terminal.until("code 143")
    terminal.assert_restored()
