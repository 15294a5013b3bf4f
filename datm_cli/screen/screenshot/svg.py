"""A screen as SVG: rectangles for blocks, lines and braille, text for the rest.

All rectangles of one colour are one path. Those that touch their neighbours are drawn without
smoothing, because smoothing shows a seam between them.
"""

from __future__ import annotations

from collections import defaultdict
from html import escape
from itertools import groupby

from rich.color_triplet import ColorTriplet

from datm_cli.screen.screenshot.glyphs import GLYPHS, HEIGHT, WIDTH, rectangles
from datm_cli.screen.screenshot.screen_cells import ScreenCell, ScreenCells

FONTS = "'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,'Noto Sans Mono',monospace"
FONT_SIZE = 13.25  # characters of these fonts are 0.602 of it wide: 8 units
BASELINE = 12.25
MARGIN = 8
CORNER = 6


def to_svg(cells: ScreenCells) -> str:
    """Draw a screen, 8 × 16 a cell, with a margin around it."""
    paths: dict[tuple[ColorTriplet, bool], list[str]] = defaultdict(list)
    for colour, (left, top, right, bottom), is_dot in rectangles(cells):
        wide, tall = right - left, bottom - top
        paths[colour, is_dot].append(f"M{left:g} {top:g}h{wide:g}v{tall:g}h{-wide:g}z")
    columns, rows = cells.size
    wide, tall = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" '
        f'width="{wide}" height="{tall}">',
        f'<rect width="{wide}" height="{tall}" rx="{CORNER}" fill="{cells.background.hex}"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">',
    ]
    for (colour, is_dot), parts in paths.items():
        # Dots touch nothing: smoothed, they keep one size when the picture is scaled.
        edges = "" if is_dot else ' shape-rendering="crispEdges"'
        lines.append(f'<path fill="{colour.hex}"{edges} d="{"".join(parts)}"/>')
    lines.append(f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" style="white-space:pre">')
    for y, row in enumerate(cells.rows):
        x = 0
        for style, run in groupby(row, key=_text_style):
            text = [cell.character for cell in run]
            if style is not None:
                colour, weight = style
                # The width is stated, so that columns stay aligned in any font.
                lines.append(
                    f'<text x="{x * WIDTH}" y="{y * HEIGHT + BASELINE:g}" '
                    f'textLength="{len(text) * WIDTH}" fill="{colour.hex}"{weight}>'
                    f"{escape(''.join(text), quote=False)}</text>"
                )
            x += len(text)
    return "\n".join([*lines, "</g>", "</g>", "</svg>", ""])


def _text_style(cell: ScreenCell) -> tuple[ColorTriplet, str] | None:
    """The colour and the weight of a character that a font draws, None for others."""
    if cell.character in GLYPHS or cell.character.isspace():
        return None
    return cell.foreground, ' font-weight="bold"' if cell.bold else ""
