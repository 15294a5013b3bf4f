"""A screen as pixels, 16 × 32 a cell.

Shapes are exact. Text takes the first of FONTS that is installed; where none is, Pillow's own,
which is not monospaced: each character is then centred in its cell.
"""

from __future__ import annotations

from collections import defaultdict
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from datm_cli.screen.screenshot.glyphs import HEIGHT, WIDTH, glyph
from datm_cli.screen.screenshot.screen_cells import Cell, Cells

SCALE = 2  # pixels a unit
WIDE, TALL = WIDTH * SCALE, HEIGHT * SCALE
MARGIN = 8 * SCALE
_FINER = 4  # curves are drawn so many times larger, and averaged

# Regular and bold, as their files are called.
FONTS = [
    ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    ("LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"),
    ("Menlo.ttc", "Menlo.ttc"),
    ("consola.ttf", "consolab.ttf"),
    ("NotoSansMono-Regular.ttf", "NotoSansMono-Bold.ttf"),
]

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def to_png(cells: Cells) -> Image.Image:
    """The screen with a margin of its background."""
    columns, rows = cells.size
    front = np.array([[cell.foreground for cell in row] for row in cells.rows], dtype=np.float32)
    back = np.array([[cell.background for cell in row] for row in cells.rows], dtype=np.float32)
    canvas = np.empty((rows, columns, TALL, WIDE, 3), dtype=np.float32)
    canvas[:] = back[:, :, None, None]
    for look, places in _places(cells).items():
        mask = _mask(*look)[:, :, None]
        y, x = np.array(places).T
        for part in range(mask.shape[1] // WIDE):  # a wide character reaches into the next cell
            share = mask[:, part * WIDE : (part + 1) * WIDE]
            at = y[x + part < columns], x[x + part < columns] + part
            difference = (front[at] - back[at])[:, None, None]
            canvas[at] = canvas[at] + difference * share
    pixels = canvas.swapaxes(1, 2).reshape(rows * TALL, columns * WIDE, 3)
    sheet = Image.new(
        "RGB", (columns * WIDE + 2 * MARGIN, rows * TALL + 2 * MARGIN), cells.background
    )
    sheet.paste(Image.fromarray(pixels.round().clip(0, 255).astype(np.uint8)), (MARGIN, MARGIN))
    return sheet


Look = tuple[str, bool, bool, bool, int]


def _places(cells: Cells) -> dict[Look, list[tuple[int, int]]]:
    """Where each character stands in each look."""
    places: dict[Look, list[tuple[int, int]]] = defaultdict(list)
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            wide = x + 1 < len(row) and row[x + 1].character == ""
            if cell.character and (not cell.character.isspace() or cell.underline or cell.strike):
                places[_look(cell, 2 if wide else 1)].append((y, x))
    return places


def _look(cell: Cell, width: int) -> Look:
    return cell.character, cell.bold, cell.underline, cell.strike, width


@lru_cache(maxsize=4096)
def _mask(
    character: str, bold: bool, underline: bool, strike: bool, width: int
) -> NDArray[np.float32]:
    """[TALL, width × WIDE]: the foreground's share of each pixel."""
    shape = glyph(character)
    if shape is None:
        mask = _letter(character, bold, width)
    else:
        fine = _FINER * SCALE
        drawn = Image.new("L", (WIDTH * fine, HEIGHT * fine), 0)
        pen = ImageDraw.Draw(drawn)
        for left, top, right, bottom in shape.rectangles:
            box = [left * fine, top * fine, right * fine - 1, bottom * fine - 1]
            pen.rectangle(box, fill=255)
        for curve in shape.curves:
            pen.polygon([(x * fine, y * fine) for x, y in curve], fill=255)
        mask = _share(drawn.reduce(_FINER)) * np.float32(shape.strength)
    if underline:
        mask[-3 * SCALE : -2 * SCALE] = 1
    if strike:
        mask[TALL // 2 : TALL // 2 + SCALE] = 1
    return mask


def _letter(character: str, bold: bool, width: int) -> NDArray[np.float32]:
    font = _font(bold)
    drawn = Image.new("L", (width * WIDE, TALL), 0)
    middle = (width * WIDE / 2, round(TALL * 0.765))
    ImageDraw.Draw(drawn).text(middle, character, 255, font, anchor="ms")
    return _share(drawn)


def _share(drawn: Image.Image) -> NDArray[np.float32]:
    return np.asarray(drawn).astype(np.float32) / np.float32(255)


@lru_cache(maxsize=2)
def _font(bold: bool) -> Font:
    """The font at the size whose characters are a cell wide."""
    for names in FONTS:
        try:
            measured = ImageFont.truetype(names[bold], 100)
        except OSError:  # not installed
            continue
        return ImageFont.truetype(names[bold], 100 * WIDE / measured.getlength("0"))
    return ImageFont.load_default(0.75 * TALL)
