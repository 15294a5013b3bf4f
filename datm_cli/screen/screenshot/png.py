"""A screen as pixels, 16 × 32 a cell.

Text has the first of FONTS that is installed. Without any, Pillow's own font is used, which is not
monospaced: each character is centred in its cell.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont
from rich.color import blend_rgb

from datm_cli.screen.screenshot.glyphs import HEIGHT, WIDTH, Polygon, glyph
from datm_cli.screen.screenshot.screen_cells import ScreenCell, ScreenCells

SCALE = 2  # pixels a unit
WIDE, TALL = WIDTH * SCALE, HEIGHT * SCALE
MARGIN = 8 * SCALE
BASELINE = round(TALL * 0.765)
_FINER = 4  # polygons are drawn so many times larger, and averaged

# Files of regular and of bold fonts.
FONTS = [
    ("DejaVuSansMono.ttf", "DejaVuSansMono-Bold.ttf"),
    ("LiberationMono-Regular.ttf", "LiberationMono-Bold.ttf"),
    ("Menlo.ttc", "Menlo.ttc"),
    ("consola.ttf", "consolab.ttf"),
    ("NotoSansMono-Regular.ttf", "NotoSansMono-Bold.ttf"),
]


def to_png(cells: ScreenCells) -> Image.Image:
    """Draw a screen, with a margin in its background."""
    columns, rows = cells.size
    size = columns * WIDE + 2 * MARGIN, rows * TALL + 2 * MARGIN
    image = Image.new("RGB", size, cells.background)
    pen = ImageDraw.Draw(image)
    # All backgrounds come first, because a wide character reaches into the next cell.
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            left, top = MARGIN + x * WIDE, MARGIN + y * TALL
            pen.rectangle((left, top, left + WIDE - 1, top + TALL - 1), cell.background)
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            if cell.character:
                is_wide = x + 1 < len(row) and row[x + 1].character == ""
                position = MARGIN + x * WIDE, MARGIN + y * TALL
                _draw(image, pen, cell, position, WIDE * (2 if is_wide else 1))
    return image


def _draw(
    image: Image.Image,
    pen: ImageDraw.ImageDraw,
    cell: ScreenCell,
    position: tuple[int, int],
    width: int,
) -> None:
    """Draw a character `width` pixels wide, from the upper left of its cell."""
    left, top = position
    shape = glyph(cell.character)
    if shape is None:
        if not cell.character.isspace():
            middle = left + width / 2, top + BASELINE
            pen.text(middle, cell.character, cell.foreground, _font(cell.bold), anchor="ms")
    else:
        colour = blend_rgb(cell.background, cell.foreground, shape.strength)
        for x0, y0, x1, y1 in shape.rectangles:  # whole pixels, as units have two
            corners = (x0 * SCALE, y0 * SCALE, x1 * SCALE - 1, y1 * SCALE - 1)
            pen.rectangle([edge + (left, top)[k % 2] for k, edge in enumerate(corners)], colour)
        if shape.polygons:
            image.paste(colour, position, _mask(shape.polygons))
    if cell.underline:
        pen.rectangle(
            (left, top + TALL - 3 * SCALE, left + width - 1, top + TALL - 2 * SCALE - 1),
            cell.foreground,
        )
    if cell.strike:
        pen.rectangle(
            (left, top + TALL // 2, left + width - 1, top + TALL // 2 + SCALE - 1), cell.foreground
        )


@lru_cache(maxsize=512)
def _mask(polygons: tuple[Polygon, ...]) -> Image.Image:
    """The polygons' share of each pixel of a cell."""
    fine = _FINER * SCALE
    mask = Image.new("L", (WIDTH * fine, HEIGHT * fine), 0)
    pen = ImageDraw.Draw(mask)
    for polygon in polygons:
        pen.polygon([(x * fine, y * fine) for x, y in polygon], fill=255)
    return mask.reduce(_FINER)


@lru_cache(maxsize=2)
def _font(bold: bool) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """The font in the size at which characters are a cell wide."""
    for names in FONTS:
        try:
            measured = ImageFont.truetype(names[bold], 100)
        except OSError:  # not installed
            continue
        return ImageFont.truetype(names[bold], 100 * WIDE / measured.getlength("0"))
    return ImageFont.load_default(0.75 * TALL)
