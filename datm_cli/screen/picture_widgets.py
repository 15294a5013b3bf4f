"""Widgets that show one picture: in quadrant blocks, or in the terminal's own pixels.

`picture_maker` chooses between the two, so that layouts need not know.
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

Pixels = NDArray[np.uint8]  # [height, width, 1 or 3]
_LEAST_SHARP = 0.8  # of the height that a picture could have
_LEAST_PIXELS = 256  # a side, so that a terminal which smooths pictures leaves them sharp


def sharp_size(height: int, width: int, room: tuple[int, int]) -> tuple[int, int]:
    """Return the (columns, rows) that a picture of `height` × `width` pixels takes within `room`.

    Each pixel gets equally many sub-pixels if that costs little of the size, so that edges stay
    sharp.
    """
    columns, rows = size_in_cells(height, width, room)
    # A cell has 2 × 2 sub-pixels and is twice as tall as wide: a pixel is `scale` columns wide
    # and `scale` half rows tall.
    scale = min(columns // width, 2 * rows // height)
    while scale * height % 2:  # a picture ends with a whole row
        scale -= 1
    sharp = scale * width, scale * height // 2
    return sharp if sharp[1] >= _LEAST_SHARP * rows else (columns, rows)


class Picture(Widget):
    """A picture at the upper left of the widget, as large as its proportions allow."""

    DEFAULT_CSS = "Picture { width: auto; height: auto; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.pixels: Pixels | None = None
        self._lines: list[Strip] = []

    def show(self, pixels: Pixels | None) -> None:
        """None clears the widget."""
        self.pixels = pixels
        self.on_resize()

    def on_resize(self) -> None:
        self._lines = []
        self.refresh()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._lines = []

    def render_line(self, y: int) -> Strip:
        if not self._lines and self.pixels is not None and self.size.area:
            height, width = self.pixels.shape[:2]
            columns, rows = sharp_size(height, width, (self.size.width, self.size.height))
            cells, style = quadrants(self.pixels, columns, rows), self.rich_style
            lines = cells.ramp(style) if self.app.console.no_color else cells.lines()
            self._lines = [
                Strip(line, columns).adjust_cell_length(self.size.width, style) for line in lines
            ]
        return self._lines[y] if y < len(self._lines) else blank_strip(self)


def blank_strip(widget: Widget) -> Strip:
    return Strip([Segment(" " * widget.size.width, widget.rich_style)], widget.size.width)


class PixelPicture(Picture):
    """A picture in the terminal's own pixels, drawn by textual-image.

    make_image: creates textual-image's widget.
    """

    def __init__(self, make_image: Callable[[], Any], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._image = make_image()
        self._image.styles.width = self._image.styles.height = "100%"

    def compose(self) -> ComposeResult:
        yield self._image

    def show(self, pixels: Pixels | None) -> None:
        from PIL import Image

        self.pixels = pixels
        if pixels is None:
            self._image.image = None
            return
        times = max(1, -(-_LEAST_PIXELS // max(pixels.shape[:2])))
        large = pixels.repeat(times, axis=0).repeat(times, axis=1)
        # Pillow takes colours as [height, width, 3] and grey as [height, width].
        image = Image.fromarray(large if large.shape[-1] == 3 else large[..., 0])
        self._image.image = image.convert("RGB")

    def render_line(self, y: int) -> Strip:
        return blank_strip(self)


def picture_maker(pixels: bool, command: str) -> Callable[..., Picture]:
    """Return what creates the pictures of a screen; it takes an `id`.

    Call it before the screen starts: importing textual-image sends queries to the terminal.

    Raises:
        ConfigError: `pixels` is set, but textual-image is not installed or the terminal shows no
            pixels. `command` is what to type instead.
    """
    if not pixels:
        return Picture
    try:
        from textual_image.renderable import Image as TerminalImage
        from textual_image.renderable import SixelImage, TGPImage
        from textual_image.widget import Image
    except ImportError:
        raise ConfigError(
            "--pixels: textual-image is not installed", "pip install 'datm[pixels]'"
        ) from None
    if TerminalImage not in (SixelImage, TGPImage):
        raise ConfigError("--pixels: this terminal reports that it shows no pixels", command)
    return lambda id=None: PixelPicture(Image, id=id)
