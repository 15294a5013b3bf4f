"""A distilled set and its run, as `datm inspect` prints them: tables and curves."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, DATA, GOOD, MARK, Curve, bar
from datm_cli.text.tables import fact_table, plain_table
from datm_engine.formatting import number
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import RunState
from datm_engine.summary import ImageSummary, Summary

NARROWEST_CURVE = 36  # columns
LEAST_SHARE = 0.005  # of a class in the list of top classes; less is 0%


def set_facts(name: str, summary: Summary, state: RunState | None) -> Table:
    """The set and its run in a few lines. `state` is None for a set in a file."""
    n, channels, height, width = summary.shape
    progress = ""
    if state is not None and state.matched:
        last = state.matched[-1]
        progress = f" of {last.iterations:,}, the run is at {last.iteration:,}"
        progress += f", {last.skipped:,} took no step" if last.skipped else ""
    pixels = summary.pixels
    rows = [
        ("file" if state is None else "run", printable(name)),
        ("dataset", printable(summary.dataset)),
        (
            "images",
            f"{n:,}: {summary.classes:,} classes × {summary.ipc} ipc, {channels}×{height}×{width}",
        ),
        ("iteration", f"{summary.iteration:,}{progress}"),
        ("syn_lr", number(summary.syn_lr)),
        (
            "pixels",
            f"{pixels.min:.2f} to {pixels.max:.2f}, mean {pixels.mean:.2f} ± {pixels.std:.2f} "
            f"as the student sees them ({summary.preprocessing})",
        ),
        ("augmentation", ", ".join(summary.augmentation) or "none"),
        (
            "soft labels",
            f"entropy {summary.entropy:.2f} nats, {summary.entropy_share:.0%} of "
            f"log {summary.classes}; {summary.led_by_other:,} of {n:,} led by another class",
        ),
    ]
    if summary.change is not None:
        space = "as the student sees them" if summary.change_space == "student" else "of [0, 1]"
        rows.append(("change", f"{summary.change:.3f} root mean square from the start, {space}"))
    return fact_table(rows)


def history_curves(state: RunState) -> list[Curve]:
    """Loss, learning rate and candidates over iterations. Curves without values are omitted."""
    steps = [event.iteration for event in state.matched]
    scores = state.candidates
    best = state.best_candidate
    part = scores[-1].part if scores else ""
    curves = [
        Curve("matching loss", steps, [e.loss for e in state.matched], log_scale=True),
        Curve("syn_lr", steps, [e.syn_lr for e in state.matched], smooth=False),
        Curve(
            f"candidates: {part} accuracy %",
            [event.iteration for event in scores],
            [event.accuracy for event in scores],
            smooth=False,
            colour=GOOD,
            marks=[(best.iteration, best.accuracy)] if best else [],
        ),
    ]
    return [curve for curve in curves if any(value is not None for value in curve.y)]


def accuracy_table(rows: Sequence[Evaluated]) -> Table:
    """Test accuracies, a row for each set and network."""
    figures = ("accuracy %", "repeats", "images", "iteration")
    table = plain_table("set", "network", *figures, right=figures, title="test accuracy")
    for event in rows:
        table.add_row(
            printable(event.set),
            printable(event.network),
            event.percent(),
            str(event.repeats),
            f"{event.images:,}",
            "" if event.iteration is None else f"{event.iteration:,}",
        )
    return table


def label_table(images: Sequence[ImageSummary], *, ascii_only: bool = False) -> Table:
    """A row for each image: its class, the share of that class in its label, the top classes.

    A mark stands at images whose top class is not their own.
    """
    mark = "o" if ascii_only else MARK
    led_by_other = not all(image.is_led_by_own_class for image in images)
    caption = f"{mark} led by another class than its own" if led_by_other else None
    table = plain_table("image", right=["image"], title="soft labels", caption=caption)
    table.add_column("class", overflow="ellipsis", max_width=16, no_wrap=True)
    table.add_column("own class", no_wrap=True)
    table.add_column("top classes")
    table.add_column("entropy", justify="right", no_wrap=True)
    if any(image.change is not None for image in images):
        table.add_column("change", justify="right", no_wrap=True)
    for image in images:
        led_by_own = image.is_led_by_own_class
        colour = DATA if led_by_own else ACCENT
        top = [
            f"{printable(share.name)} {share.probability:.0%}"
            for rank, share in enumerate(image.top)
            if rank == 0 or share.probability >= LEAST_SHARE
        ]
        cells: list[RenderableType] = [
            f"{image.index}",
            printable(image.class_name),
            Text.assemble((bar(image.own, 4, ascii_only=ascii_only), colour), f" {image.own:4.0%}"),
            Text.assemble("" if led_by_own else (f"{mark} ", ACCENT), ", ".join(top)),
            f"{image.entropy:.2f} {image.entropy_share:4.0%}",
        ]
        if image.change is not None:
            cells.append(f"{image.change:.3f}")
        table.add_row(*cells)
    return table
