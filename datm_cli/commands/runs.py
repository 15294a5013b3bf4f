"""`datm runs`: a table of all runs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli import options
from datm_cli.text.escapes import printable
from datm_engine.formatting import duration

if TYPE_CHECKING:
    from datm_engine.runs.directory import Run


def runs(runs_dir: options.RunsDir = options.RUNS_DIR, as_json: options.AsJson = False) -> None:
    """List the runs: status, progress, latest accuracy, age."""
    from rich.table import Table
    from rich.text import Text

    from datm_cli.text import output
    from datm_engine.runs.directory import Run

    rows = [_row(run) for run in Run.all(runs_dir)]
    if as_json:
        output.print_json({"runs": rows})
        return
    if not rows:
        output.remark(f"no runs in {runs_dir} yet; start one: datm distill")
        return
    table = Table(box=None, pad_edge=False)
    for column in ("run", "status", "dataset", "ipc", "iteration", "loss", "accuracy %", "age"):
        right = column in ("ipc", "iteration", "loss", "accuracy %", "age")
        # On a narrow terminal, names wrap and numbers are never cut.
        table.add_column(
            column, justify="right" if right else "left", no_wrap=column not in ("run", "dataset")
        )
    for row in rows:
        table.add_row(
            Text(printable(row["run"]), overflow="fold"),
            printable(row["status"]),
            Text(printable(Path(_shown(row["dataset"])).name), overflow="fold"),
            _shown(row["ipc"]),
            f"{_shown(row['iteration'])}/{_shown(row['iterations'])}",
            "" if row["loss"] is None else f"{row['loss']:.4f}",
            "" if row["accuracy"] is None else _accuracy(row),
            "" if row["age"] is None else duration(row["age"]),
        )
    output.results().print(table)


def _accuracy(row: dict[str, Any]) -> str:
    return printable(f"{row['accuracy']:.2f} ({row['judged_on']})")


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
