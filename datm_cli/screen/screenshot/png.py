"""A screen as pixels, 16 × 32 a cell.

Text has the first of FONTS that is installed. Without any, Pillow's own font is used, which is not
monospaced: each character is centred in its cell.
"""

from __future__ import annotations

from functools import lru_cache

from PIL import Image, ImageDraw, ImageFont
from rich.cells import cell_len

from datm_cli.screen.screenshot.glyphs import GLYPHS, HEIGHT, WIDTH, rectangles
from datm_cli.screen.screenshot.screen_cells import ScreenCells

SCALE = 2  # pixels a unit
WIDE, TALL = WIDTH * SCALE, HEIGHT * SCALE
MARGIN = 8 * SCALE
BASELINE = round(TALL * 0.765)

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
    for colour, box, _ in rectangles(cells):
        left, top, right, bottom = (round(MARGIN + SCALE * edge) for edge in box)
        pen.rectangle((left, top, right - 1, bottom - 1), colour)  # Pillow includes both ends
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            if cell.character not in GLYPHS and not cell.character.isspace():
                middle = MARGIN + (x + cell_len(cell.character) / 2) * WIDE
                baseline = MARGIN + y * TALL + BASELINE
                text, font = cell.character, _font(cell.bold)
                pen.text((middle, baseline), text, cell.foreground, font, anchor="ms")
    return image


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
