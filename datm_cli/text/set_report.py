"""What `datm inspect` shows of a distilled set and its run, as rich renderables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.table import Table
from rich.text import Text

from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, DATA, GOOD, MARK, Curve, bar
from datm_engine.formatting import number
from datm_engine.runs.events import Evaluated
from datm_engine.summary import History, ImageSummary, Summary

NARROWEST_CURVE = 36  # columns; curves stand beside each other where there is room for more


def facts(name: str, summary: Summary, history: History | None) -> Table:
    """The set and its run in a few lines of what and how much; no `history`: it is a file."""
    n, channels, height, width = summary.shape
    pixels = summary.pixels
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column()
    table.add_row("file" if history is None else "run", printable(name))
    table.add_row("dataset", printable(summary.dataset))
    table.add_row(
        "images",
        f"{n:,}: {summary.classes:,} classes × {summary.ipc} ipc, {channels}×{height}×{width}",
    )
    table.add_row("iteration", f"{summary.iteration:,}{_progress(history)}")
    table.add_row("syn_lr", number(summary.syn_lr))
    table.add_row(
        "pixels",
        f"{pixels.min:.2f} to {pixels.max:.2f}, mean {pixels.mean:.2f} ± {pixels.std:.2f} "
        f"as the student sees them ({summary.preprocessing})",
    )
    table.add_row("augmentation", ", ".join(summary.augmentation) or "none")
    table.add_row(
        "soft labels",
        f"entropy {summary.entropy:.2f} nats, {summary.entropy_share:.0%} of "
        f"log {summary.classes}; {summary.led_by_other:,} of {n:,} led by another class",
    )
    if summary.change is not None:
        space = "as the student sees them" if summary.change_space == "student" else "of [0, 1]"
        table.add_row("change", f"{summary.change:.3f} root mean square from the start, {space}")
    return table


def curves(history: History) -> list[Curve]:
    """Loss, learning rate and candidates over iterations; those without values are left out."""
    steps = [event.iteration for event in history.matched]
    scores = [(event.iteration, event.accuracy) for event in history.candidates]
    best = max(scores, key=lambda point: point[1], default=None)
    part = history.candidates[-1].part if history.candidates else ""
    drawn = [
        Curve("matching loss", steps, [e.loss for e in history.matched], log_scale=True),
        Curve("syn_lr", steps, [e.syn_lr for e in history.matched], smooth=False),
        Curve(
            f"candidates: {part} accuracy %",
            [x for x, _ in scores],
            [y for _, y in scores],
            smooth=False,
            colour=GOOD,
            marks=[best] if best else [],
        ),
    ]
    return [curve for curve in drawn if any(value is not None for value in curve.y)]


def results(rows: Sequence[Evaluated]) -> Table:
    """Test accuracies, a line a set and network."""
    table = _table("test accuracy")
    table.add_column("set", overflow="fold")
    table.add_column("network")
    table.add_column("accuracy %", justify="right")
    table.add_column("repeats", justify="right")
    table.add_column("images", justify="right")
    table.add_column("iteration", justify="right")
    for event in rows:
        table.add_row(
            printable(event.set),
            printable(event.network),
            event.percent(),
            f"{event.repeats}",
            f"{event.images:,}",
            "" if event.iteration is None else f"{event.iteration:,}",
        )
    return table


def labels(images: Sequence[ImageSummary], *, ascii_only: bool = False) -> Table:
    """A line an image: its class, how much of the label that is, and the label's top classes.

    Images led by another class than their own carry a mark.
    """
    mark = "o" if ascii_only else MARK
    led_by_other = sum(not image.is_led_by_own_class for image in images)
    table = _table("soft labels")
    if led_by_other:
        table.caption = f"{mark} led by another class than its own"
    table.add_column("image", justify="right")
    table.add_column("class", overflow="ellipsis", max_width=16, no_wrap=True)
    table.add_column("own class", no_wrap=True)
    table.add_column("top classes")
    table.add_column("entropy", justify="right", no_wrap=True)
    if any(image.change is not None for image in images):
        table.add_column("change", justify="right", no_wrap=True)
    for image in images:
        led = image.is_led_by_own_class
        colour = DATA if led else ACCENT
        cells: list[RenderableType] = [
            f"{image.index}",
            printable(image.class_name),
            Text.assemble((bar(image.own, 4, ascii_only=ascii_only), colour), f" {image.own:4.0%}"),
            Text.assemble(
                *([] if led else [(f"{mark} ", ACCENT)]),
                ", ".join(_shares(image)),
            ),
            f"{image.entropy:.2f} {image.entropy_share:4.0%}",
        ]
        if image.change is not None:
            cells.append(f"{image.change:.3f}")
        table.add_row(*cells)
    return table


class Beside:
    """Renderables beside each other, as many as fit at `narrowest` columns each."""

    def __init__(self, parts: Sequence[RenderableType], narrowest: int) -> None:
        self.parts = parts
        self.narrowest = narrowest

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        gap = 2
        fit = max(1, (options.max_width + gap) // (self.narrowest + gap))
        per_line = min(fit, len(self.parts))
        for line, some in enumerate(_chunks(self.parts, per_line)):
            if line:
                yield ""
            table = Table.grid(padding=(0, gap, 0, 0), expand=True)
            for _ in range(per_line):
                table.add_column(ratio=1)
            table.add_row(*some)
            yield table


def _shares(image: ImageSummary) -> Iterator[str]:
    """The top classes with their percentages, without those that round to none."""
    for place, share in enumerate(image.top):
        if place == 0 or share.probability >= 0.005:
            yield f"{printable(share.name)} {share.probability:.0%}"


def _table(title: str) -> Table:
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        caption_justify="left",
        box=None,
        padding=(0, 2, 0, 0),
        pad_edge=False,
    )


def _chunks(parts: Sequence[RenderableType], size: int) -> Iterator[Sequence[RenderableType]]:
    for first in range(0, len(parts), max(1, size)):
        yield parts[first : first + size]


def _progress(history: History | None) -> str:
    if history is None or not history.matched:
        return ""
    last = history.matched[-1]
    steps = f" of {last.iterations:,}, the run is at {last.iteration:,}"
    return f"{steps}, {last.skipped:,} took no step" if last.skipped else steps
