"""Pictures as cells of a terminal: quadrant blocks in colour, a ramp of characters without.

A cell shows 2 × 2 sub-pixels in two colours. It is about twice as tall as wide, so a square
picture fills twice as many columns as rows. 12 × 6 cells are the fewest that are readable.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import groupby

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.color import Color
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.segment import Segment
from rich.style import Style

from datm_cli.text.escapes import printable

SMALL = (12, 6)  # columns, rows
LARGE = (16, 8)
GAP = 2  # columns between pictures

# Sub-pixels are numbered upper left, upper right, lower left, lower right. Partition m puts
# sub-pixel k in the foreground if bit k of m is set. The lower right is always background: the
# other eight partitions only swap the two colours.
QUADRANTS = " ▘▝▀▖▌▞▛"
RAMP = " .:-=+*#%@"

_FOREGROUND = np.array([[m >> k & 1 for k in range(4)] for m in range(8)], dtype=np.float32)
_COUNT = _FOREGROUND.sum(axis=1)
# A partition reduces the squared error by |s|² (1/n + 1/(4 − n)), where s is the sum of its n
# foreground sub-pixels, each minus the mean of the cell. Times 3: 4, 3, 4 for n = 1, 2, 3.
_GAIN = np.array([0, 4, 4, 3, 4, 3, 3, 4], dtype=np.float32)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_LEAST_CONTRAST = 64  # of 255; a picture with less is flat and is not stretched further

Line = list[Segment]


@dataclass(frozen=True)
class QuadrantCells:
    """The cells of one picture or of several.

    partitions: [..., rows, columns], indices into QUADRANTS.
    foreground, background: uint8 [..., rows, columns, 3].
    """

    partitions: NDArray[np.intp]
    foreground: NDArray[np.uint8]
    background: NDArray[np.uint8]

    def __getitem__(self, index: int) -> QuadrantCells:
        """One picture of several."""
        return QuadrantCells(self.partitions[index], self.foreground[index], self.background[index])

    def lines(self) -> list[Line]:
        """One picture in colour, a line a row. Neighbours of one style are one segment."""
        glyphs = np.array(list(QUADRANTS))[self.partitions].tolist()
        front, back = _packed(self.foreground), _packed(self.background)
        return [
            [
                Segment("".join(glyph for glyph, *_ in run), _style(*colours))
                for colours, run in groupby(zip(*row, strict=True), key=lambda cell: cell[1:])
            ]
            for row in zip(glyphs, front, back, strict=True)
        ]

    def ramp(self, style: Style | None = None) -> list[Line]:
        """One picture without colour: the denser the character, the lighter the cell.

        The contrast is stretched, because ten characters show few differences.
        """
        share = (_COUNT[self.partitions] / 4)[..., None]  # [rows, columns, 1]
        mean = self.foreground * share + self.background * (1 - share)
        light = mean @ _LUMINANCE  # [rows, columns]
        spread = max(_LEAST_CONTRAST, light.max() - light.min())
        darkest = ((light.max() + light.min() - spread) / 2).clip(0, 255 - spread)
        level = ((light - darkest) / spread * (len(RAMP) - 1)).round().astype(np.intp)
        style = style or Style.null()  # some widgets cannot draw segments without a style
        return [[Segment("".join(row), style)] for row in np.array(list(RAMP))[level].tolist()]


def quadrants(pictures: NDArray[np.uint8], columns: int, rows: int) -> QuadrantCells:
    """The cells that approximate pictures best, by squared error over the sub-pixels.

    pictures: uint8 [..., height, width, channels], 1 channel or 3. They are reduced by averaging
    areas and enlarged by repeating pixels.
    """
    pixels = _resample(pictures, 2 * rows, 2 * columns)
    lead = pixels.shape[:-3]
    # [..., 2 rows, 2 columns, 3] → [..., rows, columns, 4 sub-pixels, 3]
    blocks = pixels.reshape(*lead, rows, 2, columns, 2, 3).swapaxes(-4, -3)
    cells = blocks.reshape(*lead, rows, columns, 4, 3)
    total = cells.sum(axis=-2)
    # All values are whole and below 2²⁴, exact in float32: ties are resolved in one way.
    sums = _FOREGROUND @ (4 * cells - total[..., None, :])  # [..., rows, columns, 8, 3]
    partitions = ((sums**2).sum(axis=-1) * _GAIN).argmax(axis=-1)
    inside = (_FOREGROUND[partitions][..., None] * cells).sum(axis=-2)
    count = _COUNT[partitions][..., None]
    background = (total - inside) / (4 - count)
    foreground = np.where(count > 0, inside / count.clip(min=1), background)
    return QuadrantCells(partitions, _to_bytes(foreground), _to_bytes(background))


def size_in_cells(height: int, width: int, room: tuple[int, int] = SMALL) -> tuple[int, int]:
    """The largest (columns, rows) within `room` that keep a picture's proportions."""
    columns, rows = room
    scale = min(columns / (2 * width), rows / height)
    return max(1, round(2 * width * scale)), max(1, round(height * scale))


class Grid:
    """Captioned pictures in as many columns as fit, evenly distributed over rows.

    pictures: uint8 [n, height, width, channels]. `group`: how many consecutive pictures stay on one
    line, if they fit.
    """

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        captions: Sequence[str],
        *,
        room: tuple[int, int] = SMALL,
        group: int = 1,
    ) -> None:
        self.pictures = pictures
        self.captions = [printable(caption) for caption in captions]
        height, width = pictures.shape[1:3]
        self.size = size_in_cells(height, width, room)
        self.group = group

    def per_line(self, width: int) -> int:
        """The number of pictures side by side in `width` columns."""
        most = max(1, (width + GAP) // (self.size[0] + GAP))
        group = self.group if self.group <= most else 1
        groups = -(-max(1, len(self.pictures)) // group)
        lines = -(-groups // (most // group))
        return -(-groups // lines) * group

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        every = max(1, len(self.pictures)) * (self.size[0] + GAP) - GAP
        return Measurement(self.size[0], min(options.max_width, every))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        columns, rows = self.size
        if columns > options.max_width:  # a screen narrower than one picture
            height, width = self.pictures.shape[1:3]
            columns, rows = size_in_cells(height, width, (options.max_width, rows))
        coloured = console.color_system and not console.no_color and not options.ascii_only
        ellipsis = "~" if options.ascii_only else "…"
        per_line = self.per_line(options.max_width)
        for first in range(0, len(self.pictures), per_line):
            if first:
                yield Segment.line()
            line = slice(first, first + per_line)
            cells = quadrants(self.pictures[line], columns, rows)
            each = [cells[i] for i in range(len(cells.partitions))]
            pictures = [one.lines() if coloured else one.ramp() for one in each]
            captions = []
            for text in self.captions[line]:
                if cell_len(text) > columns:
                    text = set_cell_size(text, columns - 1) + ellipsis
                captions.append([Segment(set_cell_size(text, columns), Style.null())])
            for row in (*zip(*pictures, strict=True), captions):
                for number, part in enumerate(row):
                    if number:
                        yield Segment(" " * GAP, Style.null())
                    yield from part
                yield Segment.line()


def _resample(pictures: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """Resize to [..., height, width, 3], in whole numbers."""
    tall, wide, channels = pictures.shape[-3:]
    if channels == 1:
        pictures = np.broadcast_to(pictures, (*pictures.shape[:-1], 3))
    down, across = _overlap(tall, height), _overlap(wide, width)
    flat = pictures.astype(np.float32).reshape(*pictures.shape[:-2], wide * 3)
    rows = (down @ flat).reshape(*pictures.shape[:-3], height, wide, 3)
    # 1e-3: the rounding of halves must not depend on the last bit of a float32 sum.
    return np.floor(across @ rows + np.float32(0.5 + 1e-3))


@lru_cache(maxsize=64)
def _overlap(source: int, target: int) -> NDArray[np.float32]:
    """[target, source]: the share of each target pixel that each source pixel covers."""
    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    left = np.maximum(edges[:-1, None], pixels)
    right = np.minimum(edges[1:, None], pixels + 1)
    covered: NDArray[np.float32] = ((right - left).clip(min=0) * (target / source)).astype("f4")
    return covered


def _to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.floor(values + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def _packed(colours: NDArray[np.uint8]) -> list[list[int]]:
    """[rows, columns] of 15-bit colours: few enough to cache their styles."""
    red, green, blue = np.moveaxis((colours >> 3).astype(np.intp), -1, 0)
    packed: list[list[int]] = (red << 10 | green << 5 | blue).tolist()
    return packed


@lru_cache(maxsize=1 << 15)
def _colour(packed: int) -> Color:
    # The upper three bits fill the lower ones, so that white stays 255.
    parts = (packed >> 10, packed >> 5 & 31, packed & 31)
    return Color.from_rgb(*(part << 3 | part >> 2 for part in parts))


@lru_cache(maxsize=1 << 16)
def _style(foreground: int, background: int) -> Style:
    return Style.from_color(_colour(foreground), _colour(background))
