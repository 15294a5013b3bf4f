"""Small plots for a terminal: a curve in braille, shares as horizontal bars.

Colours are Okabe and Ito's, told apart by the colour-blind; each comes with a shape of its own,
so that a plot reads the same without them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

DATA = "#56B4E9"
RAW = "#0072B2"
ACCENT = "#E69F00"
GOOD = "#009E73"
BAD = "#D55E00"

MARK = "◆"
NARROWEST = 16  # columns of a plot with its labels

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_EIGHTHS = " ▏▎▍▌▋▊▉█"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """A series as a line, over the range its values span where several share a dot's column.

    Values that are None or not finite are left out. `log_scale` is used only if all values are
    above 0. `smooth` evens the line out over a sixteenth of the width, the range stays as it is.
    `marks`: points (x, y) to stand out as ◆. `levels`: values to compare with and their names,
    each a dotted line across; names of the same line stand beside each other. `x_range`: what the
    axis spans, if it is more than the points do.
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

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        return Measurement(min(NARROWEST, options.max_width), options.max_width)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        points = [
            (float(x), float(y))
            for x, y in zip(self.x, self.y, strict=True)
            if y is not None and math.isfinite(y)
        ]
        plain, accent = Style.null(), _style(ACCENT)
        if not points:
            yield Segment(f"{self.title}: no values yet".removeprefix(": "), plain)
            yield Segment.line()
            return
        x, y = np.array(points).T
        shown = [*y, *(value for _, value in self.marks), *(value for value, _ in self.levels)]
        log_scale = self.log_scale and min(shown) > 0
        low_label, high_label = distinct(min(shown), max(shown))
        gutter = max(len(low_label), len(high_label))
        columns = max(2, options.max_width - gutter - 2)
        ends = np.array(self.x_range or (x.min(), x.max()), dtype=np.float64)
        canvas = _Canvas(columns, self.height, ends, np.array(shown), log_scale)
        line, span = canvas.draw(x, y, self.smooth)

        ascii_only = options.ascii_only
        corner, side, floor, mark = ("+", "|", "-", "o") if ascii_only else ("└", "│", "─", MARK)
        marked = {canvas.cell(*point) for point in self.marks}
        levels = _levels(self.levels, canvas, line | span)
        if self.title:
            title = self.title + (" (log scale)" if log_scale else "")
            yield Segment(set_cell_size(title, min(cell_len(title), options.max_width)), _BOLD)
            yield Segment.line()
        styles = {_LINE: _style(self.colour), _SPAN: _style(RAW), _EMPTY: plain}
        for row in range(self.height):
            label = {0: high_label, self.height - 1: low_label}.get(row, "")
            if low_label == high_label:  # one value: the line runs half-way up
                label = high_label if row == self.height // 2 else ""
            yield Segment(f"{label:>{gutter}} {side}", plain)
            named = levels.get(row)
            behind = (
                "" if named is None else f" {named} ".rjust(columns, "-" if ascii_only else "┄")
            )
            for column in range(columns):
                if (row, column) in marked:
                    yield Segment(mark, accent)
                    continue
                kind, glyph = _glyph(line[row, column], span[row, column], ascii_only)
                if kind == _EMPTY and behind:
                    yield Segment(behind[column], accent)
                    continue
                yield Segment(glyph, styles[kind])
            yield Segment.line()
        yield Segment(f"{'':>{gutter}} {corner}{floor * columns}", plain)
        yield Segment.line()
        first, last = short(ends[0]), short(ends[1])
        between = max(1, columns - len(first) - len(last))
        axis = first + " " * between + last if first != last else first
        yield Segment(" " * (gutter + 2) + axis[:columns], plain)
        yield Segment.line()


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


def short(value: float) -> str:
    """A number in three significant digits, whole ones in full: 0.0123, 1,200, 2.5e-06."""
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{int(value):,}"
    text = f"{value:.3g}"
    return f"{value:,.0f}" if "e+" in text and abs(value) < 1e7 else text


def distinct(low: float, high: float) -> tuple[str, str]:
    """Both numbers, with as many digits as it takes to tell them apart."""
    texts = short(low), short(high)
    for digits in range(4, 9):
        if texts[0] != texts[1] or low == high:
            break
        texts = f"{low:.{digits}g}", f"{high:.{digits}g}"
    return texts


def _levels(
    levels: Sequence[tuple[float, str]], canvas: _Canvas, drawn: NDArray[np.intp]
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


class _Canvas:
    """Where points fall on a raster of dots, two across and four down a cell."""

    def __init__(self, columns: int, rows: int, x: Floats, shown: Floats, log_scale: bool) -> None:
        self.log_scale = log_scale
        self.columns, self.rows = columns, rows
        self.dots = 2 * columns, 4 * rows
        self.x_from, self.x_span = x.min(), x.max() - x.min()
        scaled = self._scaled(shown)
        self.y_to, self.y_span = scaled.max(), scaled.max() - scaled.min()

    def draw(self, x: Floats, y: Floats, smooth: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """[rows, columns] each: dots of the line, dots of the range, as braille offsets."""
        wide, tall = self.dots
        column, scaled = self._column(x), self._scaled(y)
        count = np.bincount(column, minlength=wide)
        used = np.flatnonzero(count)
        mean = np.bincount(column, weights=scaled, minlength=wide)[used] / count[used]
        top, bottom = np.full(wide, -np.inf), np.full(wide, np.inf)
        np.maximum.at(top, column, scaled)
        np.minimum.at(bottom, column, scaled)

        line = np.interp(np.arange(used[0], used[-1] + 1), used, mean)
        if smooth and len(x) > wide:
            line = _smoothed(line, max(1, wide // 16) | 1)
        here = self._row(line)
        before = np.concatenate([here[:1], here[:-1]])
        upper = np.minimum(here, np.where(before < here, before + 1, here))
        lower = np.maximum(here, np.where(before > here, before - 1, here))
        dots = np.arange(tall)[:, None]
        line_dots = np.zeros((tall, wide), dtype=bool)
        line_dots[:, used[0] : used[-1] + 1] = (dots >= upper) & (dots <= lower)

        span_dots = np.zeros((tall, wide), dtype=bool)
        several = used[top[used] > bottom[used]]
        above, below = self._row(top[several]), self._row(bottom[several])
        # Every other dot, so that the range can be told from the line without colour.
        woven = (dots + several) % 2 == 0
        span_dots[:, several] = (dots >= above) & (dots <= below) & woven
        return _braille(line_dots), _braille(span_dots)

    def cell(self, x: float, y: float) -> tuple[int, int]:
        """(row, column) of the cell a point falls in."""
        column = int(self._column(np.array([x]))[0].clip(0, self.dots[0] - 1))
        row = int(self._row(self._scaled(np.array([y])))[0])
        return row // 4, column // 2

    def level(self, value: float) -> int:
        """The row of cells that a value falls in."""
        return int(self._row(self._scaled(np.array([value])))[0]) // 4

    def _scaled(self, y: Floats) -> Floats:
        return np.log(y) if self.log_scale else y

    def _column(self, x: Floats) -> NDArray[np.intp]:
        if self.x_span == 0:
            return np.zeros(len(x), dtype=np.intp)
        return ((x - self.x_from) / self.x_span * (self.dots[0] - 1)).round().astype(np.intp)

    def _row(self, scaled: Floats) -> NDArray[np.intp]:
        if self.y_span == 0:
            return np.full(len(scaled), self.dots[1] // 2, dtype=np.intp)
        share = (self.y_to - scaled) / self.y_span
        return (share * (self.dots[1] - 1)).round().astype(np.intp)


_EMPTY, _SPAN, _LINE = range(3)
_BOLD = Style(bold=True)


def _style(colour: str) -> Style:
    return Style.from_color(Color.parse(colour))


def _glyph(line: int, span: int, ascii_only: bool) -> tuple[int, str]:
    """The line hides the range in the cells it crosses, as a cell has one colour."""
    kind = _LINE if line else _SPAN if span else _EMPTY
    if kind == _EMPTY:
        return kind, " "
    if ascii_only:
        return kind, "*" if kind == _LINE else ":"
    return kind, chr(0x2800 + int(line or span))


def _braille(dots: NDArray[np.bool_]) -> NDArray[np.intp]:
    tall, wide = dots.shape
    cells = dots.reshape(tall // 4, 4, wide // 2, 2)
    return np.einsum("rdce,de->rc", cells, _DOTS)


def _smoothed(line: Floats, window: int) -> Floats:
    """The moving mean, over what there is of the window at both ends."""
    ones = np.ones(window)
    totals = np.convolve(line, ones, mode="same")
    smoothed: Floats = totals / np.convolve(np.ones_like(line), ones, mode="same")
    return smoothed
