"""`datm report`: a run on one page of HTML."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datm_cli import options


def report(
    target: Annotated[str, typer.Argument(metavar="RUN", help="A run's name or folder.")],
    to: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.html",
            help="Where to write it; an earlier report is replaced.",
            show_default="RUN.html",
        ),
    ] = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """A run on one page of HTML that needs no network: curves, images, labels, results."""
    from datm_cli.report.page import check_page
    from datm_cli.report.run_page import KIND, run_page
    from datm_cli.run_summary import RunSummary, find_run
    from datm_cli.target import read
    from datm_cli.text import output
    from datm_engine.files import or_elsewhere, save_text

    run = find_run(target, runs_dir, "a history to report")
    path = to or Path(f"{run.name}.html")
    check_page("to", path, KIND)
    found = read(target, run) if run.distilled.exists() else None
    page = run_page(RunSummary.of(run), found)
    with or_elsewhere(path, "to"):
        save_text(path, page)
    facts = {"report": str(path), "size": len(page.encode())}
    output.print_written("the report is in", path, facts, as_json=as_json)
