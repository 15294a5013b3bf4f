"""Compare runs side by side, as `datm compare` prints them: settings that differ, losses, accuracy
and cost."""

from __future__ import annotations

import math
import string
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from datm_cli.run_summary import SETS, RunSummary
from datm_cli.text import output
from datm_cli.text.escapes import printable
from datm_cli.text.plots import SEVERAL, Curves
from datm_cli.text.tables import GAP, plain_table
from datm_engine.formatting import byte_size, setting, step_duration
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import TIMED_STAGES
from datm_engine.settings.config import differences
from datm_engine.settings.presets import APPROXIMATE

COLUMN_WIDTH = 16  # of a run, at least, if its values are as long: "61.25 ± 0.50 (3)"
UNKNOWN = "–"

Row = tuple[str, Sequence[str]]  # a name, and a value for each run


@dataclass(frozen=True)
class ComparisonTable:
    """A column for each run. Runs that do not fit into the width follow in further tables."""

    title: str
    runs: Sequence[Text]
    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        names = max(len(name) for name, _ in self.rows)
        longest = max(cell_len(text) for _, values in self.rows for text in values)
        column = min(COLUMN_WIDTH, max(longest, *(run.cell_len for run in self.runs)))
        fit = max(1, (options.max_width - names) // (column + GAP))
        for first in range(0, len(self.runs), fit):
            part = slice(first, first + fit)
            if first:
                yield ""
            table = plain_table(title=None if first else self.title)
            table.add_column("", no_wrap=True)
            for run in self.runs[part]:
                table.add_column(run, overflow="fold", min_width=min(COLUMN_WIDTH, run.cell_len))
            for name, values in self.rows:
                cells = (Text(printable(value), overflow="fold") for value in values[part])
                table.add_row(printable(name), *cells)
            # Values that differ are folded and never cut.
            yield from Table.__rich_console__(table, console, options)


def comparison(runs: Sequence[RunSummary]) -> Iterator[RenderableType]:
    """The parts to print, in order."""
    letters = [string.ascii_uppercase[number % 26] for number in range(len(runs))]
    headings = []
    table = plain_table(
        *("run", "dataset", "ipc", "accuracy %"), right=["ipc"], optional=["ipc"], cut=["dataset"]
    )
    for number, (letter, run) in enumerate(zip(letters, runs, strict=True)):
        letter_style = f"bold {SEVERAL[number % len(SEVERAL)]}"
        name = f" {printable(run.run.name)}"
        headings.append(Text.assemble((letter, letter_style), name, overflow="fold"))
        result = next((row for row in run.state.results if row.set == "distilled"), None)
        table.add_row(
            headings[-1],
            printable(Path(run.config.dataset.name).name),
            f"{run.config.distill.ipc:,}",
            _accuracy(result) if result else printable(f"none yet, {run.status}"),
        )
    yield table
    if not have_same_images(runs):
        yield Text(
            "These runs are of different images: their accuracies are not to be compared with "
            "each other, but with the lines of real images in their own column."
        )
    if changed := differences(*(summary.config for summary in runs)):
        rows = [(key, [setting(value) for value in values]) for key, values in changed.items()]
        yield ComparisonTable("settings that differ", headings, rows)
    else:
        yield Text("no setting differs")
    losses = []
    for letter, run in zip(letters, runs, strict=True):
        if run.config.distill.gradient == "tesla":
            yield Text(f"{letter}: {APPROXIMATE}")
        matched = run.state.matched
        steps = [event.iteration for event in matched]
        losses.append((letter, steps, [event.loss for event in matched]))
    yield Curves("matching loss over iterations", losses, log_scale=True)
    if accuracies := accuracy_rows(runs):
        yield ComparisonTable("test accuracy %: mean ± std (repeats)", headings, accuracies)
    each = [costs(run) for run in runs]
    rows = [(name, [run_costs[name] for run_costs in each]) for name in each[0]]
    yield ComparisonTable("cost", headings, rows)


def as_json(runs: Sequence[RunSummary]) -> dict[str, Any]:
    changed = differences(*(summary.config for summary in runs))
    return {
        "runs": [_run_json(summary) for summary in runs],
        "settings": {key: list(values) for key, values in changed.items()},
        "same_images": have_same_images(runs),
    }


def have_same_images(runs: Sequence[RunSummary]) -> bool:
    """Whether all runs are tested on the same images, as far as their events show it."""
    names = {(run.config.dataset.name, run.config.dataset.resolution) for run in runs}
    datasets = [run.state.dataset for run in runs if run.state.dataset]
    shapes = {(e.classes, e.test, e.channels, e.height, e.width) for e in datasets}
    return len(names) == 1 and len(shapes) <= 1


def accuracy_rows(runs: Sequence[RunSummary]) -> list[Row]:
    """A row for each set and network that any run has tested, and one for the best candidate."""
    tested = [{(row.set, row.network): row for row in run.state.results} for run in runs]
    networks = list(dict.fromkeys(network for rows in tested for _, network in rows))
    names = [*SETS, *dict.fromkeys(name for rows in tested for name, _ in rows if name not in SETS)]
    rows: list[Row] = [
        (f"{name}, {network}", [_accuracy(results.get((name, network))) for results in tested])
        for network in networks
        for name in names
        if any((name, network) in results for results in tested)
    ]
    best = [run.state.best_candidate for run in runs]
    if any(best):
        parts = {event.part for event in best if event}
        part = "held out" if parts == {"validation"} else " or ".join(sorted(parts))
        values = [f"{e.accuracy:.2f} at {e.iteration:,}" if e else UNKNOWN for e in best]
        rows.append((f"best candidate, {part}", values))
    return rows


def costs(run: RunSummary) -> dict[str, str]:
    """How far a run came, and what that cost."""
    state = run.state
    return {
        "status": run.status,
        "iterations": f"{state.iteration:,} of {run.iterations:,}",
        "without a step": f"{state.skipped:,}",
        "an iteration (median)": _duration(state.seconds_per_iteration),
        **{stage: _duration(state.seconds[stage]) for stage in TIMED_STAGES},
        "all stages": _duration(math.fsum(state.seconds.values())),
        "peak memory": byte_size(state.memory) if state.memory else UNKNOWN,
        "device": run.device,
        "precision": run.manifest.arithmetic.precision,
        "run on disk": byte_size(run.disk),
    }


def _accuracy(row: Evaluated | None) -> str:
    return UNKNOWN if row is None else f"{row.percent()} ({row.repeats})"


def _duration(seconds: float | None) -> str:
    return step_duration(seconds) if seconds else UNKNOWN


def _run_json(summary: RunSummary) -> dict[str, Any]:
    state = summary.state
    best = state.best_candidate
    return {
        "run": summary.run.name,
        "path": str(summary.run.path),
        "status": summary.status,
        "dataset": summary.config.dataset.name,
        "ipc": summary.config.distill.ipc,
        "iteration": state.iteration,
        "iterations": summary.iterations,
        "skipped": state.skipped,
        "loss": state.matched[-1].loss if state.matched else None,
        "results": [output.row(row) for row in state.results],
        "best_candidate": best
        and {"iteration": best.iteration, "accuracy": best.accuracy, "part": best.part},
        "seconds_an_iteration": state.seconds_per_iteration,
        "seconds": state.seconds,
        "memory": state.memory,
        "disk": summary.disk,
        "device": summary.device,
        "precision": summary.manifest.arithmetic.precision,
    }
