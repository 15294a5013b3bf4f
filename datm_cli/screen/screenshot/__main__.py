"""Pictures of datm's screens for the documentation, made without a terminal.

python -m datm_cli.screen.screenshot inspect RUN --press enter,right,enter --out docs/gallery.svg
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options
from datm_cli.text import output
from datm_engine.errors import ConfigError, DatmError
from datm_engine.hints import fix_text

if TYPE_CHECKING:
    from datm_cli.screen.full_screen import FullScreenApp

HELP = "python -m datm_cli.screen.screenshot --help"


def screenshot(
    screen: Annotated[str, typer.Argument(metavar="SCREEN", help="inspect or monitor.")],
    targets: Annotated[list[str], typer.Argument(metavar="RUN|FILE...")],
    out: Annotated[Path, typer.Option(metavar="FILE", help="An .svg or a .png file.")],
    size: Annotated[str, typer.Option(metavar="COLUMNSxROWS")] = "120x40",
    press: Annotated[str, typer.Option(help="Keys to press first, with commas.")] = "",
    light: Annotated[bool, typer.Option("--light", help="The light theme.")] = False,
    runs_dir: options.RunsDir = options.RUNS_DIR,
) -> None:
    """Take a picture of one of datm's screens."""
    from datm_cli.screen.full_screen import LIGHT
    from datm_cli.screen.screenshot import photograph, save

    if screen not in SCREENS:
        raise ConfigError(f"{screen}: the screens are {', '.join(SCREENS)}", HELP)
    columns, _, rows = size.partition("x")
    if not (columns.isdecimal() and rows.isdecimal() and int(columns) * int(rows)):
        raise ConfigError(f"--size {size}: columns and rows as in 120x40", HELP)
    os.environ.pop("NO_COLOR", None)
    app, is_ready = SCREENS[screen](targets, runs_dir)
    if light:
        app.theme = LIGHT.name
    cells = photograph(
        app,
        size=(int(columns), int(rows)),
        press=[key for key in press.split(",") if key],
        until=is_ready,
        within=120,
    )
    save(asyncio.run(cells), out)


def _gallery(targets: list[str], runs_dir: Path) -> tuple[FullScreenApp, Callable[[], bool]]:
    from datm_cli.gallery.gallery_app import GalleryApp, set_loader

    app = GalleryApp(targets, set_loader(targets, None, runs_dir, last=False))

    def is_ready() -> bool:
        if app.error is not None:
            raise app.error
        return app.is_ready and all(worker.is_finished for worker in app.workers)

    return app, is_ready


def _dashboard(targets: list[str], runs_dir: Path) -> tuple[FullScreenApp, Callable[[], bool]]:
    from datm_cli.dashboard.dashboard_app import DashboardApp
    from datm_engine.runs.directory import Run

    app = DashboardApp(Run.open(runs_dir, targets[0]))
    return app, lambda: app.is_drawn


SCREENS = {"inspect": _gallery, "monitor": _dashboard}  # each returns (app, whether it is ready)


def main() -> None:
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(screenshot)
    try:
        app()
    except DatmError as error:
        output.print_error(error.message, fix_text(error.fix), as_json=False)
        raise SystemExit(error.exit_code) from None


if __name__ == "__main__":
    main()
