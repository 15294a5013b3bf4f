"""`datm compare`: runs side by side, printed or as JSON."""

from __future__ import annotations

from typing import Annotated

import typer

from datm_cli import options


def compare(
    targets: Annotated[
        list[str], typer.Argument(metavar="RUN RUN…", help="Names or folders of runs.")
    ],
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Compare runs side by side: settings that differ, losses, accuracy, cost."""
    from datm_cli.run_summary import RunSummary, find_run
    from datm_cli.text import output, run_comparison
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command

    if len(targets) < 2:
        raise ConfigError(
            f"{targets[0]} is one run: compare takes two or more",
            command("datm", "runs", "--runs-dir", runs_dir),
        )
    runs = [find_run(target, runs_dir, "settings and curves to compare") for target in targets]
    summaries = [RunSummary.of(run) for run in runs]
    if as_json:
        output.print_json(run_comparison.as_json(summaries))
        return
    output.print_parts(run_comparison.comparison(summaries))
