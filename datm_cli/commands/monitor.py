"""`datm monitor`: the dashboard on any run, live, finished or crashed."""

from __future__ import annotations

import math
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.runs.directory import Run


def monitor(
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="RUN|TUNE",
            help="A run's or a tune's name or folder.",
            show_default="the latest run",
        ),
    ] = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    tunes_dir: options.TunesDir = options.TUNES_DIR,
    color: options.Color = "auto",
    pixels: options.Pixels = False,
) -> None:
    """Watch a run or a tune: loss, window, accuracy, pictures. Leaving it does not stop it."""
    from datm_cli.text import output, terminal
    from datm_engine.errors import RunError
    from datm_engine.hints import command
    from datm_engine.runs.directory import Run
    from datm_engine.tuning.tune_folder import Tune

    tune = Tune.find(run, tunes_dir) if run and not (runs_dir / run / "run.json").exists() else None
    if run:
        found = tune.log if tune else Run.open(runs_dir, run)
    else:
        known = Run.all(runs_dir)
        if not known:
            first = command("datm", "distill") + options.elsewhere(runs_dir)
            raise RunError(f"there are no runs in {runs_dir}", first)
        running = [each for each in known if each.process_status() == "running"]
        found = max(running or known, key=_created)
    if not terminal.is_interactive():
        raise RunError(
            "the dashboard needs a terminal to draw on",
            f"{found.list_command}   # or: {command('tail', '-f', found.event_log)}",
        )
    (tune or found).config()  # report a damaged one before the screen changes
    terminal.set_colours(color)
    from datm_cli.dashboard.dashboard_app import DashboardApp
    from datm_cli.screen.picture_widgets import picture_maker

    make_picture = picture_maker(pixels, command("datm", "monitor", *([run] if run else [])))

    screen: DashboardApp
    if tune:
        from datm_cli.dashboard.tune_dashboard import TuneDashboardApp

        screen = TuneDashboardApp(tune, make_picture=make_picture)
    else:
        screen = DashboardApp(found, make_picture=make_picture)
    with suppress(OSError):  # leave the processor to the engine, where the system allows it
        os.nice(5)
    code = screen.run() or screen.return_code or 0
    for line in screen.exit_message().splitlines():
        output.print_line(line, stderr=True)
    raise typer.Exit(code)


def _created(run: Run) -> float:
    """When the run was created. A damaged one counts as the oldest."""
    from datm_engine.errors import RunError

    try:
        return run.manifest().created
    except RunError:
        return -math.inf
