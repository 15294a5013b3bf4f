"""Small plots for a terminal: a curve in braille, shares as horizontal bars.

Colours are Okabe and Ito's, told apart by the colour-blind; each comes with a shape of its own,
so that a plot reads the same without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from datm_cli.text.canvas import Canvas, Floats, Frame, character
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


# A part of the axis to stand out: where it begins and ends, and its name.
Span: TypeAlias = tuple[float, float, str]


@dataclass(frozen=True)
class Curve:
    """A series as a line, over the range its values span where several share a dot's column.

    Values that are None or not finite are left out. `log_scale` is used only if all values are
    above 0. `smooth` evens the line out over a sixteenth of the width, the range stays as it is.
    `marks`: points (x, y) to stand out as ◆. `levels`: values to compare with and their names,
    each a dotted line across; names of the same line stand beside each other. `x_range`: what the
    axis spans, if it is more than the points do; `span`: a part of it to stand out.
    Without a title its line is left out.
    """

    title: str
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

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROWEST, options.max_width), options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        points = _finite(self.x, self.y)
        plain, accent = Style.null(), _style(ACCENT)
        if not points:
            yield Segment(f"{self.title}: no values yet".removeprefix(": "), plain)
            yield Segment.line()
            return
        x, y = np.array(points).T
        shown = [*y, *(value for _, value in self.marks), *(value for value, _ in self.levels)]
        ends = np.array(self.x_range or (x.min(), x.max()), dtype=np.float64)
        frame, canvas = _framed(self.title, self.height, shown, ends, self.log_scale, options)
        frame = _spanned(frame, canvas, self.span)
        line, span = canvas.draw(x, y, self.smooth)

        ascii_only = options.ascii_only
        mark = "o" if ascii_only else MARK
        marked = {canvas.cell(*point) for point in self.marks}
        levels = _levels(self.levels, canvas, line | span)
        styles = {_LINE: _style(self.colour), _SPAN: _style(RAW), _EMPTY: plain}
        rows = []
        for row in range(self.height):
            named = levels.get(row)
            rest = "-" if ascii_only else "┄"
            behind = "" if named is None else f" {named} ".rjust(canvas.columns, rest)
            cells = []
            for column in range(canvas.columns):
                if (row, column) in marked:
                    cells.append(Segment(mark, accent))
                    continue
                kind, glyph = _glyph(line[row, column], span[row, column], ascii_only)
                if kind == _EMPTY and behind:
                    cells.append(Segment(behind[column], accent))
                    continue
                cells.append(Segment(glyph, styles[kind]))
            rows.append(cells)
        yield from frame.around(rows, options.max_width)


@dataclass(frozen=True)
class Curves:
    """Several series over one axis, each with letters of its own on its line, so that they can be
    told apart without colour: (letter, x, y). Otherwise as a Curve is."""

    title: str
    lines: Sequence[tuple[str, Sequence[float], Sequence[float | None]]]
    height: int = 10
    log_scale: bool = False
    span: Span | None = None

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROWEST, options.max_width), options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        drawn = [(letter, _finite(x, y)) for letter, x, y in self.lines]
        every = np.array([point for _, points in drawn for point in points])
        if not every.size:
            yield Segment(f"{self.title}: no values yet", Style.null())
            yield Segment.line()
            return
        ends = np.array([every[:, 0].min(), every[:, 0].max()])
        shown = every[:, 1].tolist()
        frame, canvas = _framed(self.title, self.height, shown, ends, self.log_scale, options)
        frame = _spanned(frame, canvas, self.span)
        rows = [[Segment(" ", Style.null())] * canvas.columns for _ in range(self.height)]
        lines = []
        for place, (letter, points) in enumerate(drawn):
            if points:
                x, y = np.array(points).T
                style = _style(SEVERAL[place % len(SEVERAL)])
                lines.append((letter, style, canvas.draw(x, y, smooth=True)[0]))
        for _, style, line in lines:
            for row, column in np.argwhere(line).tolist():
                glyph = _glyph(line[row, column], 0, options.ascii_only)[1]
                rows[row][column] = Segment(glyph, style)
        for place, (letter, style, line) in enumerate(lines):  # upon all the lines
            used = np.flatnonzero(line.any(axis=0))
            first = min(len(used) - 1, round(LETTERS_APART * (place + 0.5) / len(lines)))
            for column in used[first::LETTERS_APART].tolist():
                row = int(np.flatnonzero(line[:, column])[0])
                rows[row][column] = Segment(letter, style + _BOLD)
        yield from frame.around(rows, options.max_width)


@dataclass(frozen=True)
class Bars:
    """Shares (0 to 1) as bars with their names before and percentages behind.

    `accented`: indices to stand out, in colour and by a ◆ before the name.
    """

    names: Sequence[str]
    shares: Sequence[float]
    accented: frozenset[int] = frozenset()
    widest_name: int = 16

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROWEST, options.max_width), options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        room = min(self.widest_name, max((cell_len(name) for name in self.names), default=0))
        width = max(1, options.max_width - room - 2 - 1 - 7)
        for index, (name, share) in enumerate(zip(self.names, self.shares, strict=True)):
            accented = index in self.accented
            mark = ("o" if options.ascii_only else MARK) if accented else " "
            yield Segment(f"{mark} ", _style(ACCENT) if accented else Style.null())
            yield Segment(set_cell_size(name, room) + " ", Style.null())
            colour = ACCENT if accented else DATA
            yield Segment(bar(share, width, ascii_only=options.ascii_only), _style(colour))
            yield Segment(f" {share:6.1%}", Style.null())
            yield Segment.line()


def bar(share: float, width: int, *, ascii_only: bool = False) -> str:
    """`share` of `width` cells filled, to an eighth of a cell; always `width` cells long."""
    share = min(1.0, share) if share > 0 else 0.0  # not a number is nothing
    if ascii_only:
        return ("#" * round(share * width)).ljust(width)
    eighths = math.ceil(share * 8 * width) if share * 8 * width < 1 else round(share * 8 * width)
    full, rest = divmod(eighths, 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(width)


def _levels(
    levels: Sequence[tuple[float, str]], canvas: Canvas, drawn: NDArray[np.intp]
) -> dict[int, str]:
    """The names on each row of cells, the lowest value's first; beside it others only as far as
    they are clear of what is drawn, [rows, columns]."""
    rows: dict[int, str] = {}
    for value, name in sorted(levels):
        row = canvas.level(value)
        clear = canvas.columns - 1 - np.flatnonzero(drawn[row]).max(initial=-1)
        both = f"{rows[row]}, {name}" if row in rows else name
        if row not in rows or len(both) + 2 <= clear:
            rows[row] = both
    return rows


_EMPTY, _SPAN, _LINE = range(3)
_BOLD = Style(bold=True)


def _finite(x: Sequence[float], y: Sequence[float | None]) -> list[tuple[float, float]]:
    return [
        (float(at), float(value))
        for at, value in zip(x, y, strict=True)
        if value is not None and math.isfinite(value)
    ]


def _framed(
    title: str,
    height: int,
    shown: Sequence[float],
    ends: Floats,
    log_scale: bool,
    options: ConsoleOptions,
) -> tuple[Frame, Canvas]:
    """The frame around the values `shown` over the axis `ends`, and the raster within."""
    log_scale = log_scale and min(shown) > 0
    title += " (log scale)" if title and log_scale else ""
    low, high = distinct_numbers(min(shown), max(shown))
    frame = Frame(title, low, high, number(ends[0]), number(ends[1]), options.ascii_only)
    columns = frame.columns(options.max_width)
    return frame, Canvas(columns, height, ends, np.array(shown), log_scale)


def _spanned(frame: Frame, canvas: Canvas, span: Span | None) -> Frame:
    if span is None:
        return frame
    low, high, name = span
    return replace(frame, span=(canvas.column(low), canvas.column(high), name))


def _style(colour: str) -> Style:
    return Style.from_color(Color.parse(colour))


def _glyph(line: int, span: int, ascii_only: bool) -> tuple[int, str]:
    """The line hides the range in the cells it crosses, as a cell has one colour."""
    kind = _LINE if line else _SPAN if span else _EMPTY
    if kind == _EMPTY:
        return kind, " "
    if ascii_only:
        return kind, "*" if kind == _LINE else ":"
    return kind, character(int(line or span))
