"""A distilled set and its run, as `datm inspect` prints them: tables, curves and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from datm_cli.target import TargetSet
from datm_cli.text import output
from datm_cli.text.contact_sheet import Row, save_sheet
from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, DATA, GOOD, MARK, Curve, bar
from datm_cli.text.quadrant_pictures import LARGE, SMALL, Grid
from datm_cli.text.tables import fact_table, plain_table, side_by_side
from datm_engine.files import or_elsewhere
from datm_engine.formatting import number
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import RunState
from datm_engine.summary import ImageSummary, Summary, pictures_of
from datm_engine.synthetic import SyntheticSet

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
    table = plain_table(
        "set", "network", *figures, right=figures, optional=figures[:0:-1], title="test accuracy"
    )
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
    figures = ["entropy"]
    if any(image.change is not None for image in images):
        figures.append("change")
    table = plain_table(
        *("image", "class", "own class", "top classes", *figures),
        right=["image", *figures],
        optional=["change", "entropy", "own class"],
        cut=["class"],
        prose=["top classes"],
        title="soft labels",
        caption=caption,
    )
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


def first_images(summary: Summary, classes: list[int], per_class: int) -> list[list[int]]:
    """For each class, the indices of its first `per_class` images."""
    ipc = summary.ipc
    return [list(range(k * ipc, k * ipc + min(per_class, ipc))) for k in classes]


def save_pictures(
    path: Path,
    target_set: TargetSet,
    summary: Summary,
    wanted: list[list[int]],
    *,
    clip: bool,
    captions: bool,
) -> None:
    """Write the pictures to a file, a row a class. captions: each image's top class under it."""
    rows: list[Row] = []
    chosen: list[int] = []
    for indices in wanted:
        images = [summary.images[i] for i in indices]
        tops = [f"{image.top[0].name} {image.top[0].probability:.0%}" for image in images]
        others = [k for k, image in enumerate(images) if not image.is_led_by_own_class]
        pictures = range(len(chosen), len(chosen) + len(indices))
        name = images[0].class_name
        rows.append(Row(name, pictures, tops if captions else (), frozenset(others)))
        chosen += indices
    with or_elsewhere(path, "save"):
        save_sheet(path, _pictures(target_set.synthetic, chosen, clip=clip), rows)


def print_set(
    target_set: TargetSet,
    summary: Summary,
    shown: list[list[int]],
    *,
    clip: bool,
    start: bool,
    large: bool,
    limit: int | None,
) -> None:
    """Print what the set and its run are, its curves, accuracies and labels, and the first `limit`
    of the pictures `shown`: indices, a list for each class."""
    console, state = output.results(), target_set.state
    parts: list[RenderableType] = [set_facts(target_set.name, summary, state)]
    if state is not None:
        if curves := history_curves(state):
            parts.append(side_by_side(curves, console.width, NARROWEST_CURVE))
        if state.results:
            parts.append(accuracy_table(state.results))
    chosen = [index for indices in shown for index in indices]
    images = [summary.images[index] for index in chosen]
    parts.append(label_table(images, ascii_only=console.options.ascii_only))
    group = len(shown[0])
    drawn = chosen[:limit]
    pictures = _pictures(target_set.synthetic, drawn, clip=clip)
    captions = [
        summary.images[index].class_name + (f" {index % summary.ipc}" if group > 1 else "")
        for index in drawn
    ]
    if start and target_set.start is not None:
        before = target_set.start[drawn].permute(0, 2, 3, 1).numpy()
        # [n, 2, height, width, channels] → [2n, …]: the start before each picture
        pictures = np.stack([before, pictures], axis=1).reshape(-1, *pictures.shape[1:])
        captions = [text for caption in captions for text in ("start", caption)]
        group *= 2
    parts.append(Grid(pictures, captions, room=LARGE if large else SMALL, group=group))
    if len(drawn) < len(chosen):
        parts.append(f"{len(chosen) - len(drawn)} more classes: --class NAME, or --all")
    output.print_parts(parts)


def _pictures(synthetic: SyntheticSet, indices: list[int], *, clip: bool) -> Any:
    """Pictures to show: a uint8 array [n, height, width, channels]."""
    pictures = pictures_of(synthetic, indices, clip=2.5 if clip else None)
    return pictures.permute(0, 2, 3, 1).numpy()
