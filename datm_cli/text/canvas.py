"""The raster of braille dots that curves are drawn on in a terminal, and the frame around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

# The bit of each dot of a cell in Unicode's braille block, by row and column.
_BRAILLE_BITS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
# Segments need a style: some widgets cannot draw those without one.
_PLAIN, _BOLD = Style.null(), Style(bold=True)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """The title, the axes and their labels around the rows of a plot.

    The labels are the range of the values (`low`, `high`) and of the axis (`first`, `last`).
    `span`: the first and the last column of a highlighted part of the axis, and its name. `ticks`:
    columns of the axis and their labels; `unit`: of these.
    """

    title: str
    low: str
    high: str
    first: str
    last: str
    ascii_only: bool
    span: tuple[int, int, str] | None = None
    ticks: Sequence[tuple[int, str]] = ()
    unit: str = ""

    def around(self, rows: Sequence[Sequence[Segment]], width: int) -> Iterator[Segment]:
        """Yield the framed plot, at most `width` columns wide. A row holds a segment a column."""
        corner, side, floor, edge, span_floor = "+|-|=" if self.ascii_only else "└│─┊━"
        gutter = max(len(self.low), len(self.high))
        edges = self.span[:2] if self.span else ()
        if self.title:
            yield Segment(set_cell_size(self.title, min(cell_len(self.title), width)), _BOLD)
            yield Segment.line()
        for number, row in enumerate(rows):
            label = {0: self.high, len(rows) - 1: self.low}.get(number, "")
            if self.low == self.high:  # a single value is drawn half-way up
                label = self.high if number == len(rows) // 2 else ""
            yield Segment(f"{label:>{gutter}} {side}", _PLAIN)
            for column, cell in enumerate(row):
                is_edge = column in edges and cell.text == " "
                yield Segment(edge, _PLAIN) if is_edge else cell
            yield Segment.line()
        columns = len(rows[0])
        first, last = (edges[0], edges[1] + 1) if edges else (columns, columns)
        ticked = list(floor * columns)
        for column, _ in self.ticks:
            ticked[column] = "+" if self.ascii_only else "┬"
        yield Segment(f"{'':>{gutter}} {corner}{''.join(ticked[:first])}", _PLAIN)
        yield Segment(span_floor * (last - first), _BOLD)
        yield Segment(floor * (columns - last), _PLAIN)
        yield Segment.line()
        yield Segment(" " * (gutter + 2) + self._axis(columns)[:columns], _PLAIN)
        yield Segment.line()

    def _axis(self, columns: int) -> str:
        """The range of the axis, with the name of the span below it where there is room."""
        if self.first == self.last:
            return self.first
        if self.ticks:
            return self._tick_labels(columns)
        between = max(1, columns - len(self.first) - len(self.last))
        if self.span is None or len(self.span[2]) + 2 > between:
            return self.first + " " * between + self.last
        first, last, name = self.span
        centred = (first + last + 1 - len(name)) // 2 - len(self.first)
        before = min(max(1, centred), between - len(name) - 1)
        return self.first + (" " * before + name).ljust(between) + self.last

    def _tick_labels(self, columns: int) -> str:
        """Each label centred under its tick, and the unit at the right end if it fits there."""
        line = ""
        for column, label in self.ticks:
            start = max(0, min(column - len(label) // 2, columns - len(label)))
            if start >= len(line) + bool(line):
                line = line.ljust(start) + label
        if len(line) + 1 + len(self.unit) <= columns:
            return line.ljust(columns - len(self.unit)) + self.unit
        # Else the unit goes into the first gap that is wide enough, or is left out.
        gap = " " * (len(self.unit) + 2)
        return line.replace(gap, f" {self.unit} ", 1)


class Canvas:
    """A raster of dots, two across and four down in each of `columns` × `rows` cells.

    It spans the axis from the least to the greatest of `x`, and the values from the least to the
    greatest of `shown`, on a logarithmic scale if `log_scale`.
    """

    def __init__(self, columns: int, rows: int, x: Floats, shown: Floats, log_scale: bool) -> None:
        self.log_scale = log_scale
        self.columns, self.rows = columns, rows
        self.wide, self.tall = 2 * columns, 4 * rows
        self.x_from, self.x_span = x.min(), x.max() - x.min()
        scaled = self._scaled(shown)
        self.y_to, self.y_span = scaled.max(), scaled.max() - scaled.min()

    def draw(self, x: Floats, y: Floats, smooth: bool) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """Draw a line and the range of its values. Returns the dots of both, [rows, columns] each,
        as offsets of braille characters; 0 is an empty cell."""
        dot_column, scaled = self._dot_column(x), self._scaled(y)
        count = np.bincount(dot_column, minlength=self.wide)
        used = np.flatnonzero(count)
        # The line runs through the mean of the values that share a column of dots.
        mean = np.bincount(dot_column, weights=scaled, minlength=self.wide)[used] / count[used]
        line = np.interp(np.arange(used[0], used[-1] + 1), used, mean)
        if smooth and len(x) > self.wide:
            # The moving mean; at both ends, of the part of the window that exists.
            window = np.ones(max(1, self.wide // 16) | 1)  # an odd window is centred
            counts = np.convolve(np.ones_like(line), window, mode="same")
            line = np.convolve(line, window, mode="same") / counts
        here = self._dot_row(line)
        before = np.concatenate([here[:1], here[:-1]])
        # Steep parts fill the column up to the dot before, so that the line has no gaps.
        upper = np.minimum(here, np.where(before < here, before + 1, here))
        lower = np.maximum(here, np.where(before > here, before - 1, here))
        dots = np.arange(self.tall)[:, None]
        line_dots = np.zeros((self.tall, self.wide), dtype=bool)
        line_dots[:, used[0] : used[-1] + 1] = (dots >= upper) & (dots <= lower)

        top, bottom = np.full(self.wide, -np.inf), np.full(self.wide, np.inf)
        np.maximum.at(top, dot_column, scaled)
        np.minimum.at(bottom, dot_column, scaled)
        several = used[top[used] > bottom[used]]
        above, below = self._dot_row(top[several]), self._dot_row(bottom[several])
        # Every other dot: the range differs from the line without colour.
        woven = (dots + several) % 2 == 0
        range_dots = np.zeros((self.tall, self.wide), dtype=bool)
        range_dots[:, several] = (dots >= above) & (dots <= below) & woven
        return _braille(line_dots), _braille(range_dots)

    def column(self, x: float) -> int:
        """The column of cells that a point of the axis falls in."""
        return int(self._dot_column(np.array([x]))[0].clip(0, self.wide - 1)) // 2

    def row(self, y: float) -> int:
        """The row of cells that a value falls in."""
        return int(self._dot_row(self._scaled(np.array([y])))[0]) // 4

    def _scaled(self, y: Floats) -> Floats:
        return np.log(y) if self.log_scale else y

    def _dot_column(self, x: Floats) -> NDArray[np.intp]:
        if self.x_span == 0:
            return np.zeros(len(x), dtype=np.intp)
        return ((x - self.x_from) / self.x_span * (self.wide - 1)).round().astype(np.intp)

    def _dot_row(self, scaled: Floats) -> NDArray[np.intp]:
        if self.y_span == 0:
            return np.full(len(scaled), self.tall // 2, dtype=np.intp)
        share = (self.y_to - scaled) / self.y_span
        return (share * (self.tall - 1)).round().astype(np.intp)


def _braille(dots: NDArray[np.bool_]) -> NDArray[np.intp]:
    """[4 rows, 2 columns] dots → [rows, columns] offsets."""
    tall, wide = dots.shape
    cells = dots.reshape(tall // 4, 4, wide // 2, 2)
    return np.einsum("rdce,de->rc", cells, _BRAILLE_BITS)
