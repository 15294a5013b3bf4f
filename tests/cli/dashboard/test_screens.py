"""The whole screen in text, in the sizes that people have; and what the keys do."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import shutil
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from datm_cli.dashboard.app import Dashboard
from datm_engine import events, lines
from datm_engine.process import Process
from datm_engine.runs import Run

from .conftest import BEGAN, screen_text, story

GOLDEN = Path(__file__).with_name("golden")
Make = Callable[..., Run]
Act = Callable[[Dashboard, Pilot[int]], Awaitable[None]]


def shown(run: Run, act: Act, size: tuple[int, int] = (120, 40)) -> Dashboard:
    """A dashboard on the run, without a terminal or a timer, that `act` has played with."""
    app = Dashboard(run, clock=lambda: BEGAN + 400, follow=False)

    async def play() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.redraw()
            await pilot.pause()
            await act(app, pilot)

    asyncio.run(play())
    return app


def assert_golden(name: str, text: str) -> None:
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("DATM_UPDATE_GOLDEN"):
        path.write_text(text, encoding="utf-8")
    assert text == path.read_text(encoding="utf-8"), f"{name} is drawn otherwise than before"


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        await pilot.pause(0.01)


def ended(status: str = "done", **over: str) -> events.RunEnded:
    return events.RunEnded(status=status, iteration=120, time=BEGAN + 500, **over)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 60)])
def test_a_distillation(make_run: Make, columns: int, rows: int) -> None:
    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert_golden(f"distilling-{columns}x{rows}", screen_text(app))

    run = make_run([*story(), ended("stopped")])
    shown(run, look, (columns, rows))


def test_every_subset_of_real_images_is_a_line_across(make_run: Make) -> None:
    told = story()
    at = next(i for i, e in enumerate(told) if isinstance(e, events.SampleSaved))
    full = told[at - 1]
    assert isinstance(full, events.Evaluated)
    for name, accuracy in (("herding", 18.0), ("kcenter", 30.0), ("el2n", 20.0)):
        over = {"set": name, "accuracy_mean": accuracy, "validation_mean": accuracy + 2}
        told.insert(at, dataclasses.replace(full, **over))

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        for named in ("herding 20.0, el2n 22.0", "kcenter 32.0", "random 43.0", "full 84.0"):
            assert named in text, text

    shown(make_run(told), look)


def test_experts_in_training(make_run: Make) -> None:
    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert_golden("experts-120x40", screen_text(app))

    run = make_run([event for event in story() if event.time <= BEGAN + 40])
    Process.of(os.getpid()).write(run.process_file)
    shown(run, look)


def test_before_anything_is_told(make_run: Make) -> None:
    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "no images yet" in text
        assert "no values yet" in text
        assert app.farewell().startswith("run pets is new; go on with: datm distill --resume")

    shown(make_run([]), look)


def test_a_finished_run_tells_the_gap_to_lossless(make_run: Make) -> None:
    def row(name: str, accuracy: float) -> events.Evaluated:
        return events.Evaluated(
            set=name,
            network="convnet",
            accuracy_mean=accuracy,
            accuracy_std=1.5,
            repeats=5,
            images=6,
        )

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert app.status == "done"
        assert "test 70.0 · 12.0 to lossless" in screen_text(app)
        assert app.farewell().startswith("run pets is done; look at it: datm inspect")

    shown(make_run([*story(300), row("distilled", 70.0), ended()]), look, (200, 60))


def test_a_failed_run_shows_why(make_run: Make) -> None:
    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "why it ended" in text
        assert "no paint" in text
        assert "buy paint" in text

    shown(make_run([*story(), ended("failed", message="no paint", hint="buy paint")]), look)


def test_a_crashed_run_shows_the_engines_last_words(make_run: Make) -> None:
    run = make_run(story())
    run.engine_log.write_text("Traceback\n" + "line\n" * 500 + "MemoryError: out of paint\n")
    Process("no such host", 1, "never").write(run.process_file)
    here = dataclasses.replace(Process.of(os.getpid()), started="another time")
    here.write(run.process_file)

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert app.status == "crashed"
        text = screen_text(app)
        assert "MemoryError: out of paint" in text
        assert "go on with: datm distill --resume" in text
        assert "✗ pets crashed" in text

    shown(run, look)


def test_the_engines_own_error_is_told_and_not_its_progress(make_run: Make) -> None:
    run = make_run(story())
    run.engine_log.write_text("[00:00:01] all is well\nerror: no paint\nhint: buy paint\n")
    dataclasses.replace(Process.of(os.getpid()), started="another time").write(run.process_file)

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "error: no paint" in text, "though a narrow screen has no log otherwise"
        assert "all is well" not in text
        assert "▸" not in text, "nothing is under way"

    shown(run, look, (80, 24))


def test_a_killed_engine_left_no_word(make_run: Make) -> None:
    run = make_run(story())
    run.engine_log.write_text("[00:00:01] all is well\n")
    dataclasses.replace(Process.of(os.getpid()), started="another time").write(run.process_file)

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert "the engine was killed: it left no word" in screen_text(app)

    shown(run, look)


def test_a_run_that_is_taken_away_leaves_the_screen(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        shutil.rmtree(run.path)
        app.poll()
        await pilot.press("b")
        await until(pilot, lambda: "start | now" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "cat, iteration 100" in screen_text(app))

    shown(run, look)


def test_events_that_cannot_be_read_are_told(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        run.event_log.unlink()
        run.event_log.mkdir()
        app._next_drawing = 0.0
        app.poll()
        await until(pilot, lambda: "events.jsonl cannot be read" in screen_text(app))

    shown(run, look)


def test_a_view_is_saved_twice_without_what_was_said_of_the_first(
    make_run: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        for name in ("pets-120.svg", "pets-120-2.svg"):
            await pilot.press("S")
            await until(pilot, (tmp_path / name).exists)
            drawn = (tmp_path / name).read_text()
            assert "matching" in drawn
            assert "saved" not in drawn

    shown(make_run([*story(), ended("stopped")]), look)


def test_what_comes_later_is_seen(make_run: Make) -> None:
    run = make_run(story(100))

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        assert "100/300" in screen_text(app)
        with run.event_log.open("a") as file:
            for event in story(120)[-21:]:
                file.write(lines.to_json(event) + "\n")
        app._next_drawing = 0.0
        app.poll()
        await until(pilot, lambda: "120/300" in screen_text(app))

    shown(run, look)


def test_looking_at_a_finished_run_reads_it_once(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([*story(), ended()])
    read: list[str] = []
    from_json = lines.from_json
    monkeypatch.setattr(lines, "from_json", lambda line: read.append(line) or from_json(line))

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        for _ in range(5):
            app.poll()
        assert app.status == "done"
        assert len(read) == len(run.event_log.read_text().splitlines())

    shown(run, look)


def test_keys(make_run: Make) -> None:
    async def play(app: Dashboard, pilot: Pilot[int]) -> None:
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
    async def play(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: "Dark or light" in screen_text(app))
        await pilot.press(*"log scale")
        await until(pilot, lambda: "key l" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "log scale" in screen_text(app).split("window of")[0])

    shown(make_run([*story(), ended("stopped")]), play)


def test_pages_of_pictures(make_run: Make) -> None:
    async def play(app: Dashboard, pilot: Pilot[int]) -> None:
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


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_leaving_leaves_the_run_alone(make_run: Make, key: str) -> None:
    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)

    async def play(app: Dashboard, pilot: Pilot[int]) -> None:
        await pilot.press(key)
        await pilot.pause()

    app = shown(run, play)
    assert app.return_value == 0
    assert app.farewell() == f"run pets goes on; back to it: datm monitor {run.path}"
    assert not run.stop_file.exists()


def test_stopping_is_asked_for(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    killed: list[tuple[int, int]] = []
    monkeypatch.setattr("os.kill", lambda pid, number: killed.append((pid, number)))

    async def play(app: Dashboard, pilot: Pilot[int]) -> None:
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


def test_a_damaged_sample_costs_only_the_pictures(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])
    (run.samples / "000100.safetensors").write_bytes(b"\xff" * 40)

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "000100.safetensors cannot be read" in text
        assert "matching loss  0.393" in text

    shown(run, look)


def test_without_colour_pictures_are_ramps(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(app: Dashboard, pilot: Pilot[int]) -> None:
        app.action_only("images")
        await pilot.pause()
        app.redraw()
        await pilot.pause()
        text = screen_text(app)
        assert_golden("no-colour-120x40", text)
        assert not set(text) & set("▘▝▖▗▛▜▙▟▀▄"), "quadrants need two colours"

    shown(make_run([*story(), ended("stopped")]), look)
