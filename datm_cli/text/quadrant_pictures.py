"""Pictures as terminal cells: quadrant blocks in colour, a luminance ramp without.

A cell shows 2 × 2 sub-pixels in two colours. It is about twice as tall as wide, so a square
picture fills twice as many columns as rows: 12 × 6 is the least that can be read, 16 × 8 good.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

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

# Sub-pixels are numbered upper left, upper right, lower left, lower right. Partition m puts
# sub-pixel k in the foreground if bit k of m is set; the lower right is always background, as
# the other eight partitions only swap the two colours.
QUADRANTS = " ▘▝▀▖▌▞▛"
RAMP = " .:-=+*#%@"

_FOREGROUND = np.array([[m >> k & 1 for k in range(4)] for m in range(8)], dtype=np.float32)
_COUNT = _FOREGROUND.sum(axis=1)
# A partition lowers the squared error by |s|² (1/n + 1/(4 − n)), s being the sum over its n
# foreground sub-pixels less the cell's mean. Times 3 to be whole: 4, 3, 4 for n = 1, 2, 3.
_GAIN = np.array([0, 4, 4, 3, 4, 3, 3, 4], dtype=np.float32)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
_LEAST_CONTRAST = 64  # of 255; below it a picture is flat and stays so

Line = list[Segment]


@dataclass(frozen=True)
class Cells:
    """What to draw. `partitions`: [..., rows, columns], indices into QUADRANTS; `foreground`,
    `background`: [..., rows, columns, 3] uint8."""

    partitions: NDArray[np.intp]
    foreground: NDArray[np.uint8]
    background: NDArray[np.uint8]

    def __getitem__(self, index: int) -> Cells:
        """One picture of several."""
        return Cells(self.partitions[index], self.foreground[index], self.background[index])

    def lines(self) -> list[Line]:
        """One picture in colour, a line a row; neighbours of one style are one segment."""
        glyphs = np.array(list(QUADRANTS))[self.partitions].tolist()
        colours = zip(_packed(self.foreground), _packed(self.background), strict=True)
        return [
            _runs(row, [_style(f, b) for f, b in zip(front, back, strict=True)])
            for row, (front, back) in zip(glyphs, colours, strict=True)
        ]

    def ramp(self, style: Style | None = None) -> list[Line]:
        """One picture without colour: the denser the character, the lighter the cell.

        Contrast is stretched, as ten characters tell little apart. No segment is without a
        style, which some widgets cannot draw; `style` is the one used.
        """
        share = (_COUNT[self.partitions] / 4)[..., None]
        mean = self.foreground * share + self.background * (1 - share)
        light = mean @ _LUMINANCE
        spread = max(_LEAST_CONTRAST, light.max() - light.min())
        darkest = ((light.max() + light.min() - spread) / 2).clip(0, 255 - spread)
        level = ((light - darkest) / spread * (len(RAMP) - 1)).round().astype(np.intp)
        style = style or Style.null()
        return [[Segment("".join(row), style)] for row in np.array(list(RAMP))[level].tolist()]


def quadrants(pictures: NDArray[np.uint8], columns: int, rows: int) -> Cells:
    """The cells that come nearest to pictures, by squared error over the sub-pixels.

    pictures: uint8 [..., height, width, channels], 1 channel or 3; shrunk by averaging areas,
    enlarged by repeating pixels.
    """
    pixels = _resample(pictures, 2 * rows, 2 * columns)
    lead = pixels.shape[:-3]
    blocks = pixels.reshape(*lead, rows, 2, columns, 2, 3).swapaxes(-4, -3)
    cells = blocks.reshape(*lead, rows, columns, 4, 3)
    total = cells.sum(axis=-2)
    # Whole numbers below 2²⁴ throughout, exact in float32, so that ties always fall one way.
    sums = _FOREGROUND @ (4 * cells - total[..., None, :])
    partitions = ((sums**2).sum(axis=-1) * _GAIN).argmax(axis=-1)
    inside = (_FOREGROUND[partitions][..., None] * cells).sum(axis=-2)
    count = _COUNT[partitions][..., None]
    background = (total - inside) / (4 - count)
    foreground = np.where(count > 0, inside / count.clip(min=1), background)
    return Cells(partitions, _to_bytes(foreground), _to_bytes(background))


def size_in_cells(height: int, width: int, room: tuple[int, int] = SMALL) -> tuple[int, int]:
    """The largest (columns, rows) within `room` that keep a picture's proportions."""
    columns, rows = room
    scale = min(columns / (2 * width), rows / height)
    return max(1, round(2 * width * scale)), max(1, round(height * scale))


def shows_colour(console: Console, options: ConsoleOptions) -> bool:
    """Whether quadrants can be told apart there; otherwise the ramp is to be drawn."""
    coloured = console.color_system is not None and not console.no_color
    return coloured and not options.ascii_only


class Grid:
    """Captioned pictures in as many columns as fit, in rows as even as they can be.

    pictures: uint8 [n, height, width, channels]. At most `limit` are drawn. `group`: pictures
    that belong together; a line then holds whole groups, if one fits.
    """

    def __init__(
        self,
        pictures: NDArray[np.uint8],
        captions: Sequence[str],
        *,
        room: tuple[int, int] = SMALL,
        limit: int | None = None,
        group: int = 1,
        gap: int = 2,
    ) -> None:
        self.pictures = pictures[:limit]
        self.captions = [printable(caption) for caption in captions[:limit]]
        height, width = pictures.shape[1:3]
        self.size = size_in_cells(height, width, room)
        self.group = group
        self.gap = gap

    def per_line(self, width: int) -> int:
        """How many pictures stand beside each other in `width` columns."""
        most = max(1, (width + self.gap) // (self.size[0] + self.gap))
        group = self.group if self.group <= most else 1
        groups = -(-max(1, len(self.pictures)) // group)
        lines = -(-groups // (most // group))
        return -(-groups // lines) * group

    def __rich_measure__(self, console: Console, options: ConsoleOptions) -> Measurement:
        every = max(1, len(self.pictures)) * (self.size[0] + self.gap) - self.gap
        return Measurement(self.size[0], min(options.max_width, every))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if not len(self.pictures):
            return
        columns, rows = self.size
        if columns > options.max_width:  # a screen narrower than one picture
            height, width = self.pictures.shape[1:3]
            columns, rows = size_in_cells(height, width, (options.max_width, rows))
        coloured = shows_colour(console, options)
        per_line = self.per_line(options.max_width)
        for first in range(0, len(self.pictures), per_line):
            chosen = slice(first, first + per_line)
            cells = quadrants(self.pictures[chosen], columns, rows)
            each = [cells[i] for i in range(len(cells.partitions))]
            pictures = [one.lines() if coloured else one.ramp() for one in each]
            captions = [_caption(text, columns, options) for text in self.captions[chosen]]
            for row in zip(*pictures, strict=True):
                yield from self._beside(row)
            yield from self._beside([[caption] for caption in captions])
            if first + per_line < len(self.pictures):
                yield Segment.line()

    def _beside(self, parts: Sequence[Line]) -> Iterator[Segment]:
        for number, part in enumerate(parts):
            if number:
                yield Segment(" " * self.gap, Style.null())
            yield from part
        yield Segment.line()


def _resample(pictures: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float32]:
    """[..., height, width, 3], whole numbers."""
    tall, wide, channels = pictures.shape[-3:]
    if channels == 1:
        pictures = np.broadcast_to(pictures, (*pictures.shape[:-1], 3))
    down, across = _overlap(tall, height), _overlap(wide, width)
    flat = pictures.astype(np.float32).reshape(*pictures.shape[:-2], wide * 3)
    rows = (down @ flat).reshape(*pictures.shape[:-3], height, wide, 3)
    # Rounded halves must not depend on the last bit of a float32 sum.
    return np.floor(across @ rows + np.float32(0.5 + 1e-3))


@lru_cache(maxsize=64)
def _overlap(source: int, target: int) -> NDArray[np.float32]:
    """[target, source]: which share of each target pixel each source pixel covers."""
    edges = np.arange(target + 1) * (source / target)
    pixels = np.arange(source)
    left = np.maximum(edges[:-1, None], pixels)
    right = np.minimum(edges[1:, None], pixels + 1)
    covered: NDArray[np.float32] = ((right - left).clip(min=0) * (target / source)).astype("f4")
    return covered


def _to_bytes(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    return np.floor(values + np.float32(0.5)).clip(0, 255).astype(np.uint8)


def _packed(colours: NDArray[np.uint8]) -> list[list[int]]:
    """[rows, columns] of 15-bit colours: few enough for their styles to be kept."""
    red, green, blue = np.moveaxis((colours >> 3).astype(np.intp), -1, 0)
    packed: list[list[int]] = (red << 10 | green << 5 | blue).tolist()
    return packed


@lru_cache(maxsize=1 << 15)
def _colour(packed: int) -> Color:
    parts = (packed >> 10, packed >> 5 & 31, packed & 31)
    return Color.from_rgb(*(part << 3 | part >> 2 for part in parts))


@lru_cache(maxsize=1 << 16)
def _style(foreground: int, background: int) -> Style:
    return Style.from_color(_colour(foreground), _colour(background))


def _runs(glyphs: Sequence[str], styles: Sequence[Style]) -> Line:
    line: Line = []
    start = 0
    for i in range(1, len(glyphs) + 1):
        if i == len(glyphs) or styles[i] is not styles[start]:
            line.append(Segment("".join(glyphs[start:i]), styles[start]))
            start = i
    return line


def _caption(text: str, width: int, options: ConsoleOptions) -> Segment:
    if cell_len(text) > width:
        ellipsis = "~" if options.ascii_only else "…"
        text = set_cell_size(text, width - 1) + ellipsis
    return Segment(set_cell_size(text, width), Style.null())
