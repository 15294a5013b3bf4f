"""A screen as SVG: shapes for blocks, lines and braille, text for the rest.

All shapes of one colour are one path. Rectangles are drawn without smoothing, because neighbours
would show a seam between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape
from itertools import groupby

from rich.color_triplet import ColorTriplet

from datm_cli.screen.screenshot.glyphs import HEIGHT, WIDTH, Polygon, glyph
from datm_cli.screen.screenshot.screen_cells import ScreenCell, ScreenCells

FONTS = "'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,'Noto Sans Mono',monospace"
FONT_SIZE = 13.25  # characters of these fonts are 0.602 of it wide: 8 units
BASELINE = 12.25
MARGIN = 8
CORNER = 6


def to_svg(cells: ScreenCells) -> str:
    """Draw a screen, 8 × 16 a cell, with a margin around it."""
    rectangles: dict[tuple[ColorTriplet, float], list[str]] = defaultdict(list)
    polygons: dict[ColorTriplet, list[str]] = defaultdict(list)
    texts: list[str] = []
    for y, row in enumerate(cells.rows):
        x = 0
        for colour, run in groupby(row, key=lambda cell: cell.background):
            width = len(list(run))
            if colour != cells.background:
                box = _rectangle(x * WIDTH, y * HEIGHT, width * WIDTH, HEIGHT)
                rectangles[colour, 1.0].append(box)
            x += width
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            if (shape := glyph(cell.character)) is None:
                continue
            left, top = x * WIDTH, y * HEIGHT
            rectangles[cell.foreground, shape.strength] += [
                _rectangle(left + x0, top + y0, x1 - x0, y1 - y0)
                for x0, y0, x1, y1 in shape.rectangles
            ]
            polygons[cell.foreground] += [_polygon(each, left, top) for each in shape.polygons]
        texts += [_text(x, y, run) for x, run in _text_runs(row)]
    columns, rows = cells.size
    wide, tall = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" '
        f'width="{wide}" height="{tall}">',
        f'<rect width="{wide}" height="{tall}" rx="{CORNER}" fill="{cells.background.hex}"/>',
        f'<g transform="translate({MARGIN} {MARGIN})">',
        '<g shape-rendering="crispEdges">',
        *(_path(colour, parts, strength) for (colour, strength), parts in rectangles.items()),
        "</g>",
        *(_path(colour, parts) for colour, parts in polygons.items()),
        f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" style="white-space:pre">',
        *texts,
        "</g>",
        "</g>",
        "</svg>",
    ]
    return "".join(f"{line}\n" for line in lines if line)


def _text_runs(row: tuple[ScreenCell, ...]) -> Iterator[tuple[int, list[ScreenCell]]]:
    """(first column, cells) of neighbours in one style that a font draws, up to a space."""

    def style(cell: ScreenCell) -> object:
        has_line = cell.underline or cell.strike
        if glyph(cell.character) or (cell.character.isspace() and not has_line):
            return None
        return cell.foreground, cell.bold, cell.italic, cell.underline, cell.strike

    x = 0
    for key, run in groupby(row, key=style):
        cells = list(run)
        if key is not None:
            yield x, cells
        x += len(cells)


def _text(x: int, y: int, run: list[ScreenCell]) -> str:
    first = run[0]
    decorations = [("underline", first.underline), ("line-through", first.strike)]
    attributes = {
        "x": x * WIDTH,
        "y": f"{y * HEIGHT + BASELINE:g}",
        # The width is stated, so that columns stay aligned in any font.
        "textLength": len(run) * WIDTH,
        "fill": first.foreground.hex,
        "font-weight": "bold" if first.bold else "",
        "font-style": "italic" if first.italic else "",
        "text-decoration": " ".join(name for name, is_on in decorations if is_on),
    }
    stated = "".join(f' {name}="{value}"' for name, value in attributes.items() if value != "")
    return f"<text{stated}>{escape(''.join(cell.character for cell in run), quote=False)}</text>"


def _path(colour: ColorTriplet, parts: list[str], opacity: float = 1.0) -> str:
    if not parts:
        return ""
    more = "" if opacity == 1 else f' fill-opacity="{opacity:g}"'
    return f'<path fill="{colour.hex}"{more} d="{"".join(parts)}"/>'


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


def _polygon(points: Polygon, left: float, top: float) -> str:
    return "M" + "L".join(f"{round(left + x, 2):g} {round(top + y, 2):g}" for x, y in points) + "z"
