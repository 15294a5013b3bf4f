"""Small plots for a terminal: curves of braille dots, and horizontal bars.

The colours are those of Okabe and Ito, which colour-blind readers can distinguish. Each comes with
a shape of its own, so that plots are readable without colour.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from datm_cli.text.canvas import Canvas, Floats, Frame
from datm_engine.formatting import distinct_numbers, number

DATA = "#56B4E9"
RAW = "#0072B2"
ACCENT = "#E69F00"
GOOD = "#009E73"
BAD = "#D55E00"
SEVERAL = (DATA, ACCENT, GOOD, BAD, "#CC79A7", "#F0E442")

MARK = "◆"
NARROWEST = 16  # columns of a plot with its labels
LETTERS_APART = 20  # columns between the letters on a line of several

_EIGHTHS = " ▏▎▍▌▋▊▉█"
_PLAIN = Style.null()

# A highlighted part of the axis: its first value, its last, and its name.
Span: TypeAlias = tuple[float, float, str]


class _FullWidth:
    """Measures of a renderable that is as wide as its console."""

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROWEST, options.max_width), options.max_width)


@dataclass(frozen=True)
class Curve(_FullWidth):
    """A series as a line, with the range of the values that share a column of dots.

    Values that are None or not finite are omitted. `log_scale` applies only where all values are
    positive. `smooth` averages the line over a sixteenth of the width; the range stays as it is.
    `marks`: points (x, y) drawn as ◆. `levels`: values to compare with and their names, each a
    dotted line across; names on the same line stand side by side. `x_range`: the ends of the axis,
    if they lie beyond the points. `unit`: of the axis, which then has ticks. `legend`: what the
    line and the range are, written into the upper right corner where nothing is drawn.
    """

    title: str  # "" for a plot without a line for its title
    x: Sequence[float]
    y: Sequence[float | None]
    height: int = 6  # lines between title and axis
    log_scale: bool = False
    smooth: bool = True
    colour: str = DATA
    marks: Sequence[tuple[float, float]] = field(default=())
    levels: Sequence[tuple[float, str]] = field(default=())
    x_range: tuple[float, float] | None = None
    span: Span | None = None
    unit: str = ""
    legend: tuple[str, str] | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        points = _finite(self.x, self.y)
        if not points:
            yield from _no_values(self.title)
            return
        x, y = np.array(points).T
        shown = [*y, *(value for _, value in self.marks), *(value for value, _ in self.levels)]
        ends = np.array(self.x_range or (x.min(), x.max()), dtype=np.float64)
        frame, canvas = _layout(self, shown, ends, options)
        line, values = canvas.draw(x, y, self.smooth)

        mark, dash = ("o", "-") if options.ascii_only else (MARK, "┄")
        level_names = _level_names(self.levels, canvas, line | values)
        accent = Style(color=ACCENT)
        rows = [[Segment(" ", _PLAIN)] * canvas.columns for _ in range(self.height)]
        for row, name in level_names.items():
            # The name stands at the right end of its dotted line.
            rows[row] = [Segment(char, accent) for char in f" {name} ".rjust(canvas.columns, dash)]
        # A cell has one colour: where the line crosses a cell, it hides the range.
        _fill(rows, values, Style(color=RAW), ":" if options.ascii_only else "")
        _fill(rows, line, Style(color=self.colour), "*" if options.ascii_only else "")
        for at, value in self.marks:
            rows[canvas.row(value)][canvas.column(at)] = Segment(mark, accent)
        if self.legend and (values & ~line).any() and self.height > 2:
            _write_legend(rows[0], self.legend, self.colour, ascii_only=options.ascii_only)
        yield from frame.around(rows, options.max_width)


@dataclass(frozen=True)
class Curves(_FullWidth):
    """Several series over one axis: (letter, x, y) each.

    The letter stands on the line, so that lines can be distinguished without colour. The other
    fields are those of a Curve.
    """

    title: str
    lines: Sequence[tuple[str, Sequence[float], Sequence[float | None]]]
    height: int = 10
    log_scale: bool = False
    span: Span | None = None

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        series = [(letter, _finite(x, y)) for letter, x, y in self.lines]
        every = np.array([point for _, points in series for point in points])
        if not every.size:
            yield from _no_values(self.title)
            return
        ends = np.array([every[:, 0].min(), every[:, 0].max()])
        frame, canvas = _layout(self, every[:, 1].tolist(), ends, options)
        rows = [[Segment(" ", _PLAIN)] * canvas.columns for _ in range(self.height)]
        lines = []
        for index, (letter, points) in enumerate(series):
            if not points:
                continue
            x, y = np.array(points).T
            style = Style(color=SEVERAL[index % len(SEVERAL)])
            line = canvas.draw(x, y, smooth=True)[0]
            lines.append((letter, style, line))
            _fill(rows, line, style, "*" if options.ascii_only else "")
        # The letters come last, so that no line covers them; each line starts them elsewhere.
        for drawn, (letter, style, line) in enumerate(lines):
            used = np.flatnonzero(line.any(axis=0))
            first = min(len(used) - 1, round(LETTERS_APART * (drawn + 0.5) / len(lines)))
            for column in used[first::LETTERS_APART].tolist():
                row = int(np.flatnonzero(line[:, column])[0])
                rows[row][column] = Segment(letter, style + Style(bold=True))
        yield from frame.around(rows, options.max_width)


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """Fill `share` of `width` cells, to an eighth of a cell. The text is always `width` long."""
    share = min(1.0, share) if share > 0 else 0.0  # NaN is an empty bar
    if ascii_only:
        return ("#" * round(share * width)).ljust(width)
    exact = share * 8 * width
    # A share that is not 0 shows at least an eighth.
    full, rest = divmod(math.ceil(exact) if exact < 1 else round(exact), 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def sparkline(values: Sequence[float], width: int) -> str:
    """Values as bars of eight heights, the mean of those that share a column."""
    parts = np.array_split(np.array(values, dtype=np.float64), min(width, len(values)))
    means = np.array([part.mean() for part in parts])
    span = means.max() - means.min()
    heights = (means - means.min()) / span * 7 if span > 0 else np.full(len(means), 3)
    return "".join("▁▂▃▄▅▆▇█"[round(float(height))] for height in heights)


def round_steps(low: float, high: float, most: int) -> list[float]:
    """Multiples of a round whole number from `low` to `high`, at most `most`."""
    if not (high > low and most > 0):
        return []
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for factor in (1, 2, 2.5, 5, 10, 20):
        step = float(factor * power)
        first, last = math.ceil(low / step), math.floor(high / step)
        if last - first < most and step >= 1 and step.is_integer():
            return [step * k for k in range(first, last + 1)]
    return []


def _write_legend(
    row: list[Segment], names: tuple[str, str], colour: str, *, ascii_only: bool
) -> None:
    """Write "─ line  ⣿ range" at the right end of a row, if the cells there are empty."""
    signs = ("*", ":") if ascii_only else ("─", "⢕")
    pieces = [
        (signs[0], Style(color=colour)),
        (f" {names[0]}  ", _PLAIN),
        (signs[1], Style(color=RAW)),
        (f" {names[1]} ", _PLAIN),
    ]
    cells = [Segment(char, style) for text, style in pieces for char in text]
    if len(cells) < len(row) and all(cell.text == " " for cell in row[-len(cells) :]):
        row[-len(cells) :] = cells


def _level_names(
    levels: Sequence[tuple[float, str]], canvas: Canvas, drawn: NDArray[np.intp]
) -> dict[int, str]:
    """The names on each row of cells, the lowest value first.

    A row has further names only as far as they do not cover what is `drawn`, [rows, columns].
    """
    rows: dict[int, str] = {}
    for value, name in sorted(levels):
        row = canvas.row(value)
        clear = canvas.columns - 1 - np.flatnonzero(drawn[row]).max(initial=-1)
        both = f"{rows[row]}, {name}" if row in rows else name
        if row not in rows or len(both) + 2 <= clear:
            rows[row] = both
    return rows


def _finite(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[float, float]]:
    return [
        (float(at), float(value))
        for at, value in zip(x, y, strict=True)
        if value is not None and math.isfinite(value)
    ]


def _no_values(title: str) -> Iterator[Segment]:
    yield Segment(f"{title}: no values yet".removeprefix(": "), _PLAIN)
    yield Segment.line()


def _layout(
    plot: Curve | Curves, shown: Sequence[float], ends: Floats, options: ConsoleOptions
) -> tuple[Frame, Canvas]:
    """The frame for the values `shown` over the axis `ends`, and the canvas inside it."""
    log_scale = plot.log_scale and min(shown) > 0
    title = plot.title + (" (log scale)" if plot.title and log_scale else "")
    low, high = distinct_numbers(min(shown), max(shown))
    columns = max(2, options.max_width - max(len(low), len(high)) - 2)
    canvas = Canvas(columns, plot.height, ends, np.array(shown), log_scale)
    span = None
    if plot.span is not None:
        first, last, name = plot.span
        span = (canvas.column(first), canvas.column(last), name)
    labels = (low, high, number(ends[0]), number(ends[1]))
    ticks: tuple[tuple[int, str], ...] = ()
    unit = getattr(plot, "unit", "")
    if unit:
        ticks = tuple(
            (canvas.column(at), number(at)) for at in round_steps(ends[0], ends[1], columns // 12)
        )
    return Frame(title, *labels, options.ascii_only, span, ticks, unit), canvas


def _fill(rows: list[list[Segment]], dots: NDArray[np.intp], style: Style, glyph: str) -> None:
    """Set the cells that have `dots`, [rows, columns], to `glyph`, or to the braille character with
    these dots if it is empty."""
    for row, column in np.argwhere(dots).tolist():
        rows[row][column] = Segment(glyph or chr(0x2800 + int(dots[row, column])), style)
