"""Blocks, lines and braille as rectangles, which need no font and leave no gaps between cells.

A cell is 8 units wide and 16 tall, so that its halves, quarters and eighths are whole numbers. All
edges are whole or half units. Other characters are left to a font.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import groupby

from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet

from datm_cli.screen.screenshot.screen_cells import ScreenCells

WIDTH, HEIGHT = 8, 16

Rectangle = tuple[float, float, float, float]  # left, top, right, bottom


def _glyphs() -> dict[str, list[Rectangle]]:
    corners = [(0, 0, 4, 8), (4, 0, 8, 8), (0, 8, 4, 16), (4, 8, 8, 16)]
    # Bit k of a quadrant's number is corner k.
    glyphs: dict[str, list[Rectangle]] = {
        character: [corner for k, corner in enumerate(corners) if bits >> k & 1]
        for bits, character in enumerate("▘▝▀▖▌▞▛▗▚▐▜▄▙▟█", 1)
    }
    glyphs |= {
        "▀": [(0, 0, 8, 8)],
        "▐": [(4, 0, 8, 16)],
        "░": [(0, 0, 8, 16)],
        "▒": [(0, 0, 8, 16)],
        "▓": [(0, 0, 8, 16)],
        "▔": [(0, 0, 8, 2)],
        "▕": [(7, 0, 8, 16)],
        "─": [(0, 7.5, 8, 8.5)],
        "━": [(0, 7, 8, 9)],
        "┄": [(0, 7.5, 2, 8.5), (3, 7.5, 5, 8.5), (5.5, 7.5, 7.5, 8.5)],
        "│": [(3.5, 0, 4.5, 16)],
        "┊": [(3.5, top, 4.5, top + 3) for top in (0, 4, 8, 12)],
    }
    for eighths, character in enumerate("▁▂▃▄▅▆▇█", 1):
        glyphs[character] = [(0, 16 - 2 * eighths, 8, 16)]
    for eighths, character in enumerate("▏▎▍▌▋▊▉", 1):
        glyphs[character] = [(0, 0, eighths, 16)]
    square: list[Rectangle] = [(3.5, 7.5, 4.5, 16), (4.5, 7.5, 8, 8.5)]
    # One step at the corner is enough of an arc for a line of one unit.
    rounded: list[Rectangle] = [(3.5, 9, 4.5, 16), (4, 8, 5, 9), (5, 7.5, 8, 8.5)]
    for shape, characters in ((square, "┌┐└┘"), (rounded, "╭╮╰╯")):
        mirrored = [(8 - right, top, 8 - left, bottom) for left, top, right, bottom in shape]
        for upper, lower, each in zip(
            characters[:2], characters[2:], (shape, mirrored), strict=True
        ):
            glyphs[upper] = each
            glyphs[lower] = [(x0, 16 - y1, x1, 16 - y0) for x0, y0, x1, y1 in each]
    # The dots of a braille cell in the order of their bits: (column, row).
    dots = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)]
    for bits in range(256):
        glyphs[chr(0x2800 + bits)] = [
            (1 + 4 * column, 1 + 4 * row, 3 + 4 * column, 3 + 4 * row)
            for bit, (column, row) in enumerate(dots)
            if bits >> bit & 1
        ]
    return glyphs


GLYPHS = _glyphs()
_SHADES = {"░": 0.25, "▒": 0.5, "▓": 0.75}  # the foreground's share of the colour


def rectangles(cells: ScreenCells) -> Iterator[tuple[ColorTriplet, Rectangle, bool]]:
    """Yield (colour, rectangle on the screen, whether it is a braille dot), in drawing order."""
    for y, row in enumerate(cells.rows):
        x = 0
        for colour, run in groupby(row, key=lambda cell: cell.background):
            first, x = x, x + len(list(run))
            if colour != cells.background:
                yield colour, (first * WIDTH, y * HEIGHT, x * WIDTH, (y + 1) * HEIGHT), False
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            shapes = GLYPHS.get(cell.character, [])
            share = _SHADES.get(cell.character, 1.0)
            colour = blend_rgb(cell.background, cell.foreground, share)
            if cell.underline:
                shapes = [*shapes, (0, 13, 8, 14)]
            left, top = x * WIDTH, y * HEIGHT
            for x0, y0, x1, y1 in shapes:
                is_dot = cell.character >= "\u2800"
                yield colour, (left + x0, top + y0, left + x1, top + y1), is_dot
