"""`datm runs`: a table of all runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli import options
from datm_cli.text.escapes import printable
from datm_engine.formatting import short_duration

if TYPE_CHECKING:
    from datm_engine.runs.directory import Run


def runs(runs_dir: options.RunsDir = options.RUNS_DIR, as_json: options.AsJson = False) -> None:
    """List the runs, the newest first: status, progress, latest accuracy, age."""
    from datm_cli.text import output
    from datm_cli.text.tables import plain_table
    from datm_engine.runs.directory import Run

    rows = [_row(run) for run in Run.all(runs_dir)]
    if as_json:
        output.print_json({"runs": rows})
        return
    if not rows:
        output.remark(f"no runs in {runs_dir} yet; start one: datm distill")
        return
    figures = ("ipc", "iteration", "loss", "accuracy %", "age")
    table = plain_table(
        *("run", "status", "dataset", *figures),
        right=figures,
        optional=("loss", "dataset", "ipc", "age", "iteration", "accuracy %", "status"),
        cut=["dataset"],
    )
    for row in reversed(rows):
        iteration, iterations = (_shown(row[key]) for key in ("iteration", "iterations"))
        accuracy = ""
        if row["accuracy"] is not None:
            accuracy = printable(f"{row['accuracy']:.2f} ({row['judged_on']})")
        table.add_row(
            printable(row["run"]),
            printable(row["status"]),
            printable(Path(_shown(row["dataset"])).name),
            _shown(row["ipc"]),
            f"{iteration}/{iterations}",
            "" if row["loss"] is None else f"{row['loss']:.4f}",
            accuracy,
            "" if row["age"] is None else short_duration(row["age"]),
        )
    output.results().print(table)


def _shown(value: int | str | None) -> str:
    return "?" if value is None else f"{value:,}" if isinstance(value, int) else value


def _row(run: Run) -> dict[str, Any]:
    """The table's row; of a run that cannot be read, that it is damaged."""
    from datm_engine.errors import DatmError

    try:
        manifest, config, state = run.manifest(), run.config(), run.state()
        status = run.process_status() or state.status
    except DatmError as problem:
        unknown = ("dataset", "ipc", "iteration", "iterations", "loss", "accuracy", "judged_on")
        why = {"run": run.name, "status": "damaged", "message": problem.message, "age": None}
        return {**why, **dict.fromkeys(unknown)}
    accuracy, judged_on = None, None
    if state.candidates:
        accuracy, judged_on = state.candidates[-1].accuracy, state.candidates[-1].part
    for row in state.results:
        if row.set == "distilled" and row.network == config.evaluate.networks[0]:
            accuracy, judged_on = row.accuracy_mean, "test"
    last = state.matched[-1] if state.matched else None
    return {
        "run": run.name,
        "status": status,
        "dataset": config.dataset.name,
        "ipc": config.distill.ipc,
        "iteration": state.iteration,
        "iterations": last.iterations if last else config.distill.iterations,
        "loss": last.loss if last else None,
        "accuracy": accuracy,
        "judged_on": judged_on,
        # Negative if the clock was set back since.
        "age": max(0.0, time.time() - manifest.created),
    }
