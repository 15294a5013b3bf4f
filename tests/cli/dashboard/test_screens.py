"""The whole screen in text, in the sizes that people have."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file
from textual.pilot import Pilot

from datm_cli.dashboard.dashboard_app import DashboardApp
from datm_cli.dashboard.panels.images_panel import ImagesPanel
from datm_engine.runs import event_log, events
from datm_engine.runs.process import Process
from tests.cli import full_screen
from tests.cli.full_screen import until

from .conftest import BEGAN, CLASSES, Make, ended, picture, screen_text, shown, story

assert_golden = partial(full_screen.assert_golden, Path(__file__).parent)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40), (200, 60)])
def test_a_distillation(make_run: Make, columns: int, rows: int) -> None:
    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert_golden(f"distilling-{columns}x{rows}", screen_text(app))

    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    shown(run, look, (columns, rows))


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_a_run_that_is_done(
    make_run: Make, monkeypatch: pytest.MonkeyPatch, columns: int, rows: int
) -> None:
    """The run is in the folder `runs` of the current one, so that its name is enough."""

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert_golden(f"done-{columns}x{rows}", screen_text(app))

    rows_of_table = [
        events.Evaluated(
            set=name,
            network="convnet",
            accuracy_mean=accuracy,
            accuracy_std=1.25,
            repeats=5,
            images=6,
            time=BEGAN + 720,
        )
        for name, accuracy in (("distilled", 70.04), ("random", 41.0), ("full", 82.06))
    ]
    run = make_run([*story(300), *rows_of_table, ended()], "runs/pets")
    monkeypatch.chdir(run.path.parents[1])
    shown(run, look, (columns, rows))


def test_a_run_that_was_asked_to_stop_is_stopping(make_run: Make) -> None:
    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    run.stop_file.touch()

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "■ pets stopping" in screen_text(app)

    assert "run pets is stopping; watch it" in shown(run, look).exit_message()


def test_every_subset_of_real_images_is_a_line_across(make_run: Make) -> None:
    recorded = story()
    at = next(i for i, e in enumerate(recorded) if isinstance(e, events.SampleSaved))
    full = recorded[at - 1]
    assert isinstance(full, events.Evaluated)
    for name, accuracy in (("herding", 18.0), ("kcenter", 30.0), ("el2n", 20.0)):
        over = {"set": name, "accuracy_mean": accuracy, "validation_mean": accuracy + 2}
        recorded.insert(at, full.model_copy(update=over))

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        for named in ("el2n 22.0 · kcenter 32.0 · herding 20.0", "random 43.0", "full 84.0"):
            assert named in text, text

    shown(make_run(recorded), look)


def test_experts_in_training(make_run: Make) -> None:
    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert_golden("experts-120x40", screen_text(app))

    run = make_run([event for event in story() if event.time <= BEGAN + 40])
    Process.of(os.getpid()).write(run.process_file)
    shown(run, look)


def test_the_start_is_shown_until_a_sample_is_saved(make_run: Make) -> None:
    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "images at iteration 0" in screen_text(app)

    shown(make_run(story(10)), look)


def test_a_wait_has_a_clock(make_run: Make) -> None:
    wait = events.WaitBegan(what="compiling, about 40 s", time=BEGAN + 390)
    run = make_run([*story(), wait])
    Process.of(os.getpid()).write(run.process_file)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "compiling, about 40 s 0:10" in screen_text(app)

    shown(run, look)


def test_real_images_are_shown_until_there_are_synthetic_ones(make_run: Make) -> None:
    recorded = [event for event in story() if event.time <= BEGAN + 40]
    run = make_run(recorded)
    run.distilled.unlink()
    real = np.stack([picture(k) for k in range(3)])
    save_file({"pictures": real}, run.real_images, {"class_names": json.dumps(CLASSES)})

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "real images, one a class, until the first distilled ones" in text
        assert "cat " in text
        assert "owl" in text

    shown(run, look)


def test_samples_are_gone_through_and_say_what_images_are_taken_for(make_run: Make) -> None:
    run = make_run(story())
    tensors = {
        "pictures": np.stack([picture(k) for k in range(6)]),
        "indices": np.arange(6),
        "taken_for": np.array([0, 0, 2, 1, 2, 2]),
        "probability": np.array([0.91, 0.8, 0.55, 0.7, 0.6, 0.5], dtype=np.float32),
    }
    save_file(tensors, run.samples / "000050.safetensors", {"iteration": "50"})

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "images at iteration 100" in screen_text(app)
        await pilot.press("left")
        await until(pilot, lambda: "images at iteration 50" in screen_text(app))
        text = screen_text(app)
        assert "← ━━━━━●───── →" in text
        assert "cat 91%" in text
        assert "dog → owl 55%" in text
        await pilot.press("left")
        await until(pilot, lambda: "images at iteration 0" in screen_text(app))
        await pilot.press("left", "right", "right")
        await until(pilot, lambda: "images at iteration 100" in screen_text(app))
        assert app.query_one(ImagesPanel).chosen is None, "it follows the run again"

    shown(run, look)


def test_before_anything_is_reported(make_run: Make) -> None:
    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "no images yet" in text
        assert "no values yet" in text
        assert app.exit_message().startswith("run pets is new; resume it: datm distill --resume")

    shown(make_run([]), look)


def test_a_finished_run_shows_the_gap_to_lossless(make_run: Make) -> None:
    def row(name: str, accuracy: float) -> events.Evaluated:
        return events.Evaluated(
            set=name,
            network="convnet",
            accuracy_mean=accuracy,
            accuracy_std=1.5,
            repeats=5,
            images=6,
        )

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert app.status == "done"
        text = screen_text(app)
        assert "accuracy  on test images" in text
        assert "70.0 ± 1.5  gap to lossless 12.0" in text
        assert "43.0" not in text.split("matching loss")[0], "a held-out figure"
        assert "distilled 70.0 ± 1.5% of test images · random real 41.0" in text
        verdict, *following = app.exit_message().splitlines()
        assert verdict.startswith("run pets is done in ")
        assert "distilled 70.0 ± 1.5% of test images" in verdict
        assert verdict.endswith("random real 41.0 · all images 82.0 · gap to lossless 12.0")
        assert [line.split(" /")[0] for line in following] == [
            "view it: datm inspect",
            "or: datm report",
            "or: datm evaluate",
        ]

    shown(make_run([*story(300), row("distilled", 70.0), ended()]), look, (200, 60))


def test_a_failed_run_shows_why(make_run: Make) -> None:
    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
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

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert app.status == "crashed"
        text = screen_text(app)
        assert "MemoryError: out of paint" in text
        assert "resume it: datm distill --resume" in text
        assert "✗ pets crashed" in text

    shown(run, look)


def test_the_engines_own_error_is_reported_and_not_its_progress(make_run: Make) -> None:
    run = make_run(story())
    run.engine_log.write_text("[00:00:01] all is well\nerror: no paint\nhint: buy paint\n")
    dataclasses.replace(Process.of(os.getpid()), started="another time").write(run.process_file)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "error: no paint" in text, "though a narrow screen has no log otherwise"
        assert "all is well" not in text
        assert "▸" not in text, "nothing is under way"

    shown(run, look, (80, 24))


def test_a_killed_engine_left_no_word(make_run: Make) -> None:
    run = make_run(story())
    run.engine_log.write_text("[00:00:01] all is well\n")
    dataclasses.replace(Process.of(os.getpid()), started="another time").write(run.process_file)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "the engine was killed without an error message" in screen_text(app)

    shown(run, look)


def test_a_run_that_is_taken_away_leaves_the_screen(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        shutil.rmtree(run.path)
        app.poll()
        await pilot.press("b")
        await until(pilot, lambda: "start | now" in screen_text(app))
        await pilot.press("enter")
        await until(pilot, lambda: "cat, iteration 100" in screen_text(app))

    shown(run, look)


def test_events_that_cannot_be_read_are_reported(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        run.event_log.unlink()
        run.event_log.mkdir()
        app._next_drawing = 0.0
        app.poll()
        await until(pilot, lambda: "events.jsonl cannot be read" in screen_text(app))

    shown(run, look)


def test_what_comes_later_is_seen(make_run: Make) -> None:
    run = make_run(story(100))
    Process.of(os.getpid()).write(run.process_file)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        assert "100/300" in screen_text(app)
        with run.event_log.open("a") as file:
            for event in story(120)[-21:]:
                file.write(event_log.to_json(event) + "\n")
        app._next_drawing = 0.0
        app.poll()
        await until(pilot, lambda: "120/300" in screen_text(app))

    shown(run, look)


def test_looking_at_a_finished_run_reads_it_once(
    make_run: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run([*story(), ended()])
    read: list[str] = []
    from_json = event_log.from_json
    monkeypatch.setattr(event_log, "from_json", lambda line: read.append(line) or from_json(line))

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        for _ in range(5):
            app.poll()
        assert app.status == "done"
        assert len(read) == len(run.event_log.read_text().splitlines())

    shown(run, look)


def test_a_damaged_sample_costs_only_the_pictures(make_run: Make) -> None:
    run = make_run([*story(), ended("stopped")])
    (run.samples / "000100.safetensors").write_bytes(b"\xff" * 40)

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "000100.safetensors cannot be read" in text
        assert "matching loss  0.393" in text

    shown(run, look)


def test_without_colour_pictures_are_ramps(make_run: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(app: DashboardApp, pilot: Pilot[int]) -> None:
        app.action_only("images")
        await pilot.pause()
        app.redraw()
        await pilot.pause()
        text = screen_text(app)
        assert_golden("no-colour-120x40", text)
        assert not set(text) & set("▘▝▖▗▛▜▙▟▀▄"), "quadrants need two colours"

    run = make_run(story())
    Process.of(os.getpid()).write(run.process_file)
    shown(run, look)
