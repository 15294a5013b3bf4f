"""Runs beside each other, as `datm compare` prints them: what differs in their settings, their
losses, accuracies and cost."""

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
from datm_engine.formatting import byte_size, setting, step_duration
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import TIMED_STAGES
from datm_engine.settings.config import differences
from datm_engine.settings.presets import APPROXIMATE

NARROWEST = 16  # columns that a run has at least, if it needs them: "61.25 ± 0.50 (3)"
UNKNOWN = "–"

Row = tuple[str, Sequence[str]]


@dataclass(frozen=True)
class SideBySide:
    """A column a run, as many beside each other as fit; the others in tables below. `rows`: what,
    and how it is in each run."""

    title: str
    runs: Sequence[Text]
    rows: Sequence[Row]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        widest = max(len(what) for what, _ in self.rows)
        longest = max(cell_len(text) for _, values in self.rows for text in values)
        column = min(NARROWEST, max(longest, *(head.cell_len for head in self.runs)))
        fit = max(1, (options.max_width - widest) // (column + 2))
        for first in range(0, len(self.runs), fit):
            chosen = slice(first, first + fit)
            if first:
                yield ""
            table = _table("" if first else self.title)
            table.add_column("", no_wrap=True)
            for head in self.runs[chosen]:
                table.add_column(head, overflow="fold", min_width=min(NARROWEST, head.cell_len))
            for what, values in self.rows:
                cells = (Text(printable(value), overflow="fold") for value in values[chosen])
                table.add_row(printable(what), *cells)
            yield table


def printed(courses: Sequence[RunSummary]) -> Iterator[RenderableType]:
    """All of it, in the order it is read."""
    heads = [_head(place, course) for place, course in enumerate(courses)]
    yield _runs(courses, heads)
    if not same_images(courses):
        yield Text(
            "These runs are of different images: their accuracies are not to be compared with "
            "each other, but with the lines of real images in their own column."
        )
    changed = differences(*(course.config for course in courses))
    if changed:
        rows = [(key, [setting(value) for value in values]) for key, values in changed.items()]
        yield SideBySide("settings that differ", heads, rows)
    else:
        yield Text("no setting differs")
    for place, course in enumerate(courses):
        if course.config.distill.gradient == "tesla":
            yield Text(f"{letter(place)}: {APPROXIMATE}")
    yield Curves(
        "matching loss over iterations",
        [
            (
                letter(place),
                [event.iteration for event in course.state.matched],
                [event.loss for event in course.state.matched],
            )
            for place, course in enumerate(courses)
        ],
        log_scale=True,
    )
    if accuracies := accuracy_rows(courses):
        yield SideBySide("test accuracy %: mean ± std (repeats)", heads, accuracies)
    yield SideBySide("cost", heads, cost_rows(courses))


def as_json(courses: Sequence[RunSummary]) -> dict[str, Any]:
    changed = differences(*(course.config for course in courses))
    return {
        "runs": [_plain(course) for course in courses],
        "settings": {key: list(values) for key, values in changed.items()},
        "same_images": same_images(courses),
    }


def same_images(courses: Sequence[RunSummary]) -> bool:
    """Whether all were tested on the same images, as far as the runs tell."""
    names = {(course.config.dataset.name, course.config.dataset.resolution) for course in courses}
    ready = [course.state.dataset for course in courses if course.state.dataset]
    found = {(e.classes, e.test, e.channels, e.height, e.width) for e in ready}
    return len(names) == 1 and len(found) <= 1


def accuracy_rows(courses: Sequence[RunSummary]) -> list[Row]:
    """A row for every set and network that any run has tested, and one for the best candidate."""
    tested = [{(row.set, row.network): row for row in course.state.results} for course in courses]
    networks = list(dict.fromkeys(network for rows in tested for _, network in rows))
    names = [*SETS, *dict.fromkeys(name for rows in tested for name, _ in rows if name not in SETS)]
    rows: list[Row] = [
        (f"{name}, {network}", [_accuracy(found.get((name, network))) for found in tested])
        for network in networks
        for name in names
        if any((name, network) in found for found in tested)
    ]
    best = [course.state.best_candidate for course in courses]
    if any(best):
        told = [f"{e.accuracy:.2f} at {e.iteration:,}" if e else UNKNOWN for e in best]
        parts = {e.part for e in best if e}
        part = "held out" if parts == {"validation"} else " or ".join(sorted(parts))
        rows.append((f"best candidate, {part}", told))
    return rows


def cost_rows(courses: Sequence[RunSummary]) -> list[Row]:
    """How far each run came, and what that took."""

    def row(what: str, tell: Any) -> Row:
        return what, [tell(course) for course in courses]

    return [
        row("status", lambda c: c.status),
        row("iterations", lambda c: f"{c.state.iteration:,} of {c.iterations:,}"),
        row("without a step", lambda c: f"{c.state.skipped:,}"),
        row("an iteration (median)", lambda c: _seconds(c.state.seconds_per_iteration)),
        *(row(name, lambda c, name=name: _seconds(c.state.seconds[name])) for name in TIMED_STAGES),
        row("all stages", lambda c: _seconds(math.fsum(c.state.seconds.values()))),
        row("peak memory", lambda c: byte_size(c.state.memory) if c.state.memory else UNKNOWN),
        row("device", lambda c: c.device),
        row("precision", lambda c: c.manifest.arithmetic.precision),
        row("run on disk", lambda c: byte_size(c.disk)),
    ]


def letter(place: int) -> str:
    return string.ascii_uppercase[place % 26]


def _head(place: int, course: RunSummary) -> Text:
    style = f"bold {SEVERAL[place % len(SEVERAL)]}"
    return Text.assemble((letter(place), style), f" {printable(course.run.name)}", overflow="fold")


def _runs(courses: Sequence[RunSummary], heads: Sequence[Text]) -> Table:
    table = _table("")
    for name in ("run", "dataset", "ipc", "accuracy %"):
        table.add_column(name, justify="right" if name == "ipc" else "left", overflow="fold")
    for head, course in zip(heads, courses, strict=True):
        own = next((row for row in course.state.results if row.set == "distilled"), None)
        table.add_row(
            head,
            Text(printable(Path(course.config.dataset.name).name), overflow="fold"),
            f"{course.config.distill.ipc:,}",
            _accuracy(own) if own else Text(printable(f"none yet, {course.status}")),
        )
    return table


def _accuracy(row: Evaluated | None) -> str:
    if row is None:
        return UNKNOWN
    return f"{row.percent()} ({row.repeats})"


def _seconds(length: float | None) -> str:
    return step_duration(length) if length else UNKNOWN


def _plain(course: RunSummary) -> dict[str, Any]:
    state = course.state
    best = state.best_candidate
    return {
        "run": course.run.name,
        "path": str(course.run.path),
        "status": course.status,
        "dataset": course.config.dataset.name,
        "ipc": course.config.distill.ipc,
        "iteration": course.state.iteration,
        "iterations": course.iterations,
        "skipped": course.state.skipped,
        "loss": state.matched[-1].loss if state.matched else None,
        "results": [output.row(row) for row in state.results],
        "best_candidate": best
        and {"iteration": best.iteration, "accuracy": best.accuracy, "part": best.part},
        "seconds_an_iteration": course.state.seconds_per_iteration,
        "seconds": course.state.seconds,
        "memory": course.state.memory,
        "disk": course.disk,
        "device": course.device,
        "precision": course.manifest.arithmetic.precision,
    }


def _table(title: str) -> Table:
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )
