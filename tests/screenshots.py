"""Pictures of datm's screens without a terminal: for tests, and for the documentation.

python -m tests.screenshots inspect RUN --press enter,right,enter --out docs/gallery.svg
"""

from __future__ import annotations

import argparse
import asyncio
import os
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from textual.app import App

from datm_cli.screen.screenshot import ScreenCells, capture, save


async def photograph(
    app: App[Any],
    *,
    size: tuple[int, int] = (120, 40),
    press: Iterable[str] = (),
    until: Callable[[], bool] = lambda: True,
    within: float = 30.0,
) -> ScreenCells:
    """Run an app without a terminal of `size` (columns, rows), press keys, and capture it.

    until: whether the app is ready. It is awaited before the keys and after them, for `within`
    seconds; then a TimeoutError is raised.
    """
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        deadline = time.monotonic() + within
        for keys in ((), tuple(press)):
            await pilot.press(*keys)
            while not until():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the screen was not ready after {within:g} seconds")
                await asyncio.sleep(0.02)
        await pilot.pause()
        return capture(app)


def main() -> None:
    from datm_cli.dashboard.dashboard_app import DashboardApp
    from datm_cli.gallery.gallery_app import GalleryApp, set_loader
    from datm_cli.screen.full_screen import LIGHT
    from datm_engine.runs.directory import Run

    parser = argparse.ArgumentParser(description="Take a picture of one of datm's screens.")
    parser.add_argument("screen", choices=["inspect", "monitor"])
    parser.add_argument("targets", nargs="+", metavar="RUN|FILE")
    parser.add_argument("--out", type=Path, required=True, help="an .svg or a .png file")
    parser.add_argument("--size", default="120x40", help="columns and rows")
    parser.add_argument("--press", default="", help="keys to press first, with commas")
    parser.add_argument("--light", action="store_true", help="the light theme")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"))
    arguments = parser.parse_args()
    if arguments.out.suffix not in (".svg", ".png"):
        parser.error("--out is an .svg or a .png file")
    os.environ.pop("NO_COLOR", None)
    columns, rows = map(int, arguments.size.split("x"))
    app: DashboardApp | GalleryApp
    if arguments.screen == "monitor":
        app = DashboardApp(Run.open(arguments.runs_dir, arguments.targets[0]))
    else:
        load = set_loader(arguments.targets, None, arguments.runs_dir, last=False)
        app = GalleryApp(arguments.targets, load)
    if arguments.light:
        app.theme = LIGHT.name

    def is_ready() -> bool:
        if isinstance(app, DashboardApp):
            return app.is_drawn
        if app.error is not None:
            raise app.error
        return app.is_ready and all(worker.is_finished for worker in app.workers)

    press = [key for key in arguments.press.split(",") if key]
    cells = photograph(app, size=(columns, rows), press=press, until=is_ready, within=120)
    save(asyncio.run(cells), arguments.out)


if __name__ == "__main__":
    main()
