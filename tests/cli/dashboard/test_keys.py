"""What the keys of the dashboard do."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import pytest
from textual.pilot import Pilot

from datm_cli.dashboard.dashboard_app import DashboardApp
from datm_engine.runs.process import Process
from tests.cli.full_screen import until

from .conftest import Make, ended, screen_text, shown, story


def test_a_view_is_saved_twice_without_what_was_said_of_the_first(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        for name in ("pets-120.svg", "pets-120-2.svg"):
            await pilot.press("S")
            await until(pilot, (tmp_path / name).exists)
            drawn = (tmp_path / name).read_text()
            assert "matching" in drawn
            assert "saved" not in drawn

    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    shown(run, look)


def test_keys(make_run: Make) -> None:
    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        async def press(key: str, seen: str, *, gone: str = "") -> None:
            await pilot.press(key)
            await until(pilot, lambda: seen in screen_text(app))
            await until(pilot, lambda: not gone or gone not in screen_text(app))

        await press("l", "matching loss  0.393  log scale")
        await press("l", "matching loss  0.393")
        await press("b", "start | now")
        await press("b", "images at", gone="start | now")
        await press("a", "cat 1")
        await press("a", "owl", gone="cat 1")
        await press("enter", "cat, iteration 100", gone="window of")
        await press("escape", "images at")
        await press("e", "training accuracy %", gone="window of epochs")
        await press("e", "matching loss")
        await press("2", "images at iteration 100", gone="window of epochs")
        await press("2", "matching loss")
        await press("3", "settings: preset pets-ipc2", gone="images at")
        await press("1", "matching loss", gone="images at")
        await press("1", "images at")
        await press("question_mark", "dark or light")
        await press("escape", "matching loss")
        await press("plus", "images at")
        before = app.theme
        await pilot.press("t")
        assert app.theme != before

    shown(make_run([*story(), ended("stopped")]), play)


def test_the_command_palette_knows_what_keys_do(make_run: Make) -> None:
    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Dark or light" in screen_text(app))
        await pilot.press(*"log scale")
        await until(pilot, lambda: "key l" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "log scale" in screen_text(app).split("window of")[0])

    shown(make_run([*story(), ended("stopped")]), play)


def test_pages_of_pictures(make_run: Make) -> None:
    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        for _ in range(8):
            await pilot.press("plus")
            await pilot.pause()
        await until(pilot, lambda: "page 1 of" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: "page 2 of" in screen_text(app))
        for _ in range(9):
            await pilot.press("n")
        last = screen_text(app)
        await pilot.press("n")
        assert screen_text(app) == last, "the last page is the last"

    shown(make_run([*story(), ended("stopped")]), play)


@pytest.mark.parametrize("key", ["q", "escape", "ctrl+c"])
def test_a_key_closes_the_top_layer_only(make_run: Make, key: str) -> None:
    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        async def press(key: str, seen: str, *, gone: str = "") -> None:
            await pilot.press(key)
            await until(pilot, lambda: seen in screen_text(app))
            await until(pilot, lambda: not gone or gone not in screen_text(app))

        grid = app.focused
        for part, seen in (("1", "rate η"), ("2", "images at"), ("3", "settings: preset")):
            await press(part, "esc back")
            await press("question_mark", "a network trained on the real images")
            await press(key, seen, gone="a network trained on the real images")
            assert app.part_alone is not None, "help was above the view"
            await press(key, "matching loss", gone="esc back")
            assert app.part_alone is None
            assert app.focused is grid, "as before the view"
        await press("enter", "cat, iteration 100")
        await press(key, "matching loss", gone="cat, iteration 100")
        assert app.is_running

    shown(make_run([*story(), ended("stopped")]), play)


def test_the_log_is_searched_and_filtered(make_run: Make) -> None:
    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        await pilot.press("slash", *"quit expert 2")
        assert app.is_running, "keys are typed"
        await pilot.press("escape", "slash", *"Expert 2")
        await until(pilot, lambda: "“expert 2” in 1" in screen_text(app))
        assert "expert 2 of 2: 86.0% training" in screen_text(app)
        assert "iteration 50:" not in screen_text(app)
        await pilot.press("enter", "escape")
        await until(pilot, lambda: "iteration 50:" in screen_text(app))
        await pilot.press("f")
        await until(pilot, lambda: "advice only" in screen_text(app))
        assert "settings: preset pets-ipc2" in screen_text(app)
        await pilot.press("f")
        await until(pilot, lambda: "results only" in screen_text(app))
        assert "settings: preset pets-ipc2" not in screen_text(app)
        await pilot.press("escape", "home")
        await until(pilot, lambda: "settings: preset pets-ipc2" in screen_text(app))

    shown(make_run([*story(), ended("stopped")]), play)


def test_a_narrow_screen_shows_one_view_at_a_time(make_run: Make) -> None:
    views = ("matching loss", "window of epochs", "held-out %", "rate η")

    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        def seen() -> list[str]:
            return [view for view in views if f"─{view}" in screen_text(app)]

        for view in (*views[1:], views[0]):
            await pilot.press("tab")
            await until(pilot, partial(lambda view: seen() == [view], view))
            assert "images at" in screen_text(app)
            assert "distilled " in screen_text(app)

    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    shown(run, play, (80, 24))


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_leaving_leaves_the_run_alone(make_run: Make, key: str) -> None:
    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)

    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        await pilot.pause()

    app = shown(run, play)
    assert app.return_value == 0
    assert app.exit_message() == f"run pets continues; watch it: datm monitor {run.path}"
    assert not run.stop_file.exists()


def test_stopping_is_asked_for(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append((pid, number)))

    async def play(app: DashboardApp, pilot: Pilot[int]) -> None:
        await pilot.press("x")
        await until(pilot, lambda: "Stop run pets?" in screen_text(app))
        await pilot.press("n")
        await until(pilot, lambda: "Stop run pets?" not in screen_text(app))
        assert not run.stop_file.exists()
        await pilot.press("x")
        await until(pilot, lambda: "Stop run pets?" in screen_text(app))
        await pilot.press("y")
        await until(pilot, run.stop_file.exists)

    shown(run, play)
    assert killed == [(os.getpid(), 15)]
