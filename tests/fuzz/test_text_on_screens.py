"""Control characters and markup in everything that a full screen shows: what it draws has none."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from datm_cli.dashboard.dashboard_app import DashboardApp
from datm_cli.dashboard.tune_dashboard import TuneDashboardApp
from datm_cli.gallery.gallery_app import GalleryApp, set_loader
from datm_cli.screen.full_screen import FullScreenApp
from datm_cli.screen.screenshot import capture, save
from tests.cli.dashboard.conftest import story
from tests.fuzz.hostile import (
    FILE,
    HOSTILE,
    NAME,
    assert_clean,
    hostile_events,
    make_run,
    make_tune,
)


def shown(app: FullScreenApp, keys: str, ready: Callable[[], bool] = lambda: True) -> list[str]:
    """What the screen says after each of the keys; saved as SVG and PNG, too."""
    app.animation_level = "none"
    texts: list[str] = []

    async def play() -> None:
        async with app.run_test(size=(120, 40), notifications=True) as pilot:
            await until(pilot, ready)
            if isinstance(app, DashboardApp):
                app.redraw()
                await pilot.pause()
            for key in ["", *keys.split()]:
                await pilot.press(*([key] if key else []))
                await pilot.pause()
                cells = capture(app)
                texts.append(cells.text())
                assert_clean(strips(app))
            save(cells, Path("screen.svg"))
            assert_clean(Path("screen.svg").read_text(encoding="utf-8"))

    asyncio.run(play())
    return texts


def strips(app: FullScreenApp) -> str:
    """The segments as they go to the terminal, styles aside."""
    drawn = app.screen._compositor.render_strips()
    return "\n".join("".join(segment.text for segment in strip) for strip in drawn)


async def until(pilot: Pilot[Any], condition: Callable[[], bool]) -> None:
    for _ in range(3000):
        if condition():
            return
        await pilot.pause(0.01)
    raise AssertionError("never ready")


def test_the_dashboard_draws_no_control_character(place: Path) -> None:
    run = make_run(Path("runs") / NAME, hostile_events())
    app = DashboardApp(run, follow=False)
    texts = shown(app, "b a 2 enter escape 3")
    assert any(r"[red]cow[/red]\x1b]0;t\x07" in text for text in texts)


def test_the_dashboard_shows_what_an_engine_said_last(place: Path) -> None:
    run = make_run(Path("runs") / NAME, story(20))
    run.engine_log.write_text(HOSTILE.replace("\n", ""))
    app = DashboardApp(run, follow=False)
    texts = shown(app, "3")
    assert r"[red]cow[/red]\x1b]0;t\x07\x9b2J:cow:\t\x0b\r\x7f\x85" in texts[-1]


def test_the_dashboard_of_a_tune_draws_no_control_character(place: Path) -> None:
    app = TuneDashboardApp(make_tune(Path(NAME)), follow=False)
    texts = shown(app, "4 x n")
    assert any(r"[red]cow[/red]\x1b]0;t\x07" in text for text in texts)


@pytest.mark.parametrize("targets", [[NAME], [NAME, FILE]])
def test_the_gallery_draws_no_control_character(targets: list[str], place: Path) -> None:
    make_run(Path("runs") / NAME, hostile_events())
    app = GalleryApp(targets, set_loader(targets, None, Path("runs"), last=False))

    def is_settled() -> bool:
        assert app.error is None, app.error
        return app.is_ready and all(worker.is_finished for worker in app.workers)

    texts = shown(app, "enter right s", is_settled)
    assert any(r"[red]cow[/red]" in text for text in texts)
