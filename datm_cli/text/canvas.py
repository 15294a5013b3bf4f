"""The raster of dots that curves are drawn on in a terminal, and the frame around it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style

_DOTS = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])
_PLAIN, _BOLD = Style.null(), Style(bold=True)

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Frame:
    """What stands around a plot: its title above (none without), the range of its values at the
    left, that of its axis below. `span`: the columns of a part of the axis that stands out, the
    first and the last of them, and its name."""

    title: str
    low: str
    high: str
    first: str
    last: str
    ascii_only: bool
    span: tuple[int, int, str] | None = None

    @property
    def gutter(self) -> int:
        return max(len(self.low), len(self.high))

    def columns(self, width: int) -> int:
        """How many are left for the plot itself."""
        return max(2, width - self.gutter - 2)

    def around(self, rows: Sequence[Sequence[Segment]], width: int) -> Iterator[Segment]:
        """The lines of the plot, each as wide as `columns` says, framed."""
        corner, side, floor = ("+", "|", "-") if self.ascii_only else ("└", "│", "─")
        if self.title:
            yield Segment(set_cell_size(self.title, min(cell_len(self.title), width)), _BOLD)
            yield Segment.line()
        for number, row in enumerate(rows):
            label = {0: self.high, len(rows) - 1: self.low}.get(number, "")
            if self.low == self.high:  # one value: the line runs half-way up
                label = self.high if number == len(rows) // 2 else ""
            yield Segment(f"{label:>{self.gutter}} {side}", _PLAIN)
            yield from self._bounded(row)
            yield Segment.line()
        columns = self.columns(width)
        yield Segment(f"{'':>{self.gutter}} {corner}", _PLAIN)
        yield from self._floor(floor * columns)
        yield Segment.line()
        yield Segment(" " * (self.gutter + 2) + self._axis(columns)[:columns], _PLAIN)
        yield Segment.line()

    def _bounded(self, row: Sequence[Segment]) -> Iterator[Segment]:
        """A line of the plot, dotted across where the span begins and ends and nothing is drawn."""
        edges = self.span[:2] if self.span else ()
        for column, cell in enumerate(row):
            is_edge = column in edges and cell.text == " "
            yield Segment("|" if self.ascii_only else "┊", _PLAIN) if is_edge else cell

    def _floor(self, line: str) -> Iterator[Segment]:
        if self.span is None:
            yield Segment(line, _PLAIN)
            return
        first, last, _ = self.span
        yield Segment(line[:first], _PLAIN)
        yield Segment(("=" if self.ascii_only else "━") * (last + 1 - first), _BOLD)
        yield Segment(line[last + 1 :], _PLAIN)

    def _axis(self, columns: int) -> str:
        """The range of the axis, and the span's name under it as far as there is room."""
        if self.first == self.last:
            return self.first
        between = max(1, columns - len(self.first) - len(self.last))
        if self.span is None or len(self.span[2]) + 2 > between:
            return self.first + " " * between + self.last
        first, last, name = self.span
        wanted = (first + last + 1 - len(name)) // 2 - len(self.first)
        before = min(max(1, wanted), between - len(name) - 1)
        return self.first + (" " * before + name).ljust(between) + self.last


class Canvas:
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
        return self.level(y), self.column(x)

    def column(self, x: float) -> int:
        """The column of cells that a point of the axis falls in."""
        return int(self._column(np.array([x]))[0].clip(0, self.dots[0] - 1)) // 2

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


def character(cell: int) -> str:
    """The character of the dots in one cell."""
    return chr(0x2800 + cell)


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
