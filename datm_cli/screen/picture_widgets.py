"""A picture in a full screen: in quadrant blocks, or in real pixels where these were asked for.

`picture_maker` chooses; whoever lays out a screen does not need to know which it was.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.segment import Segment
from textual.app import ComposeResult
from textual.strip import Strip
from textual.widget import Widget

from datm_cli.text.quadrant_pictures import quadrants, size_in_cells
from datm_engine.errors import ConfigError

Pixels = NDArray[np.uint8]
_LITTLE = 0.8  # of the room's height
_FEWEST_PIXELS = 256  # a side, so that a terminal which smooths pictures leaves them sharp


def sharp_size(height: int, width: int, room: tuple[int, int]) -> tuple[int, int]:
    """The (columns, rows) that a picture takes within `room`: where it costs little, so many that
    each pixel becomes equally many sub-pixels, and edges stay sharp."""
    columns, rows = size_in_cells(height, width, room)
    times = min(columns // width, 2 * rows // height)  # sub-pixels down, a pixel
    while times * height % 2:  # a cell has two
        times -= 1
    sharp = times * width, times * height // 2
    return sharp if sharp[1] >= _LITTLE * rows else (columns, rows)


class Picture(Widget):
    """A picture as large as fits into the widget in its proportions, from the upper left."""

    DEFAULT_CSS = "Picture { width: auto; height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pixels: Pixels | None = None
        self._lines: list[Strip] = []

    def show(self, pixels: Pixels | None) -> None:
        """uint8 [height, width, 1 or 3]; None: nothing."""
        self.pixels = pixels
        self._lines = []
        self.refresh()

    def on_resize(self) -> None:
        self._lines = []
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines = []

    def render_line(self, y: int) -> Strip:
        if not self._lines and self.pixels is not None and self.size.area:
            self._lines = self._drawn(self.pixels)
        if y < len(self._lines):
            return self._lines[y]
        return Strip([Segment(" " * self.size.width, self.rich_style)], self.size.width)

    def _drawn(self, pixels: Pixels) -> list[Strip]:
        height, width = pixels.shape[:2]
        columns, rows = sharp_size(height, width, (self.size.width, self.size.height))
        cells = quadrants(pixels, columns, rows)
        plain = self.app.console.no_color
        lines = cells.ramp(self.rich_style) if plain else cells.lines()
        rest = self.size.width - columns
        blank = [Segment(" " * rest, self.rich_style)] if rest > 0 else []
        return [Strip([*line, *blank], self.size.width) for line in lines]


class PixelPicture(Picture):
    """A picture in the terminal's own pixels, drawn by textual-image."""

    def __init__(self, kind: Callable[[], Any], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._image = kind()
        self._image.styles.width = self._image.styles.height = "100%"

    def compose(self) -> ComposeResult:
        yield self._image

    def show(self, pixels: Pixels | None) -> None:
        from PIL import Image

        self.pixels = pixels
        if pixels is None:
            self._image.image = None
            return
        times = max(1, -(-_FEWEST_PIXELS // max(pixels.shape[:2])))
        large = pixels.repeat(times, axis=0).repeat(times, axis=1)
        colours = np.broadcast_to(large, (*large.shape[:2], 3))
        self._image.image = Image.fromarray(np.ascontiguousarray(colours))

    def render_line(self, y: int) -> Strip:
        return Strip([Segment(" " * self.size.width, self.rich_style)], self.size.width)


def picture_maker(pixels: bool, command: str) -> Callable[..., Picture]:
    """What makes the pictures of a screen, called with an `id`.

    To be asked before the screen starts, as textual-image questions the terminal when it is
    imported. Raises ConfigError, with `command` as what to type instead, if real pixels are
    wanted and the extra is missing or the terminal shows none.
    """
    if not pixels:
        return Picture
    try:
        from textual_image.renderable import Image as Drawn
        from textual_image.renderable import SixelImage, TGPImage
        from textual_image.widget import Image
    except ImportError:
        raise ConfigError(
            "--pixels: textual-image is not installed", "pip install 'datm[pixels]'"
        ) from None
    if Drawn not in (SixelImage, TGPImage):
        raise ConfigError("--pixels: this terminal shows no pixels, as far as it says", command)
    return lambda id=None: PixelPicture(Image, id=id)
