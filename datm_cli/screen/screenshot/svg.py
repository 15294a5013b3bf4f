"""A screen as SVG: shapes for blocks, lines and braille, text for the rest.

Everything of one colour is one path. Rectangles are drawn without smoothing, as neighbours would
otherwise show a seam between them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from html import escape

from rich.color_triplet import ColorTriplet

from datm_cli.screen.screenshot.glyphs import HEIGHT, WIDTH, Polygon, glyph
from datm_cli.screen.screenshot.screen_cells import Cell, Cells

FONTS = "'DejaVu Sans Mono','Liberation Mono',Menlo,Consolas,'Noto Sans Mono',monospace"
FONT_SIZE = 13.25  # of a font whose characters are 0.602 of it wide: 8 units
BASELINE = 12.25
MARGIN = 8
CORNER = 6


def to_svg(cells: Cells) -> str:
    """A document whose size is the screen's, 8 × 16 a cell, with a margin around it."""
    rectangles: dict[tuple[ColorTriplet, float], list[str]] = defaultdict(list)
    curves: dict[ColorTriplet, list[str]] = defaultdict(list)
    for y, row in enumerate(cells.rows):
        for x, length, colour in _backgrounds(row):
            if colour != cells.background:
                rectangles[colour, 1.0].append(
                    _rectangle(x * WIDTH, y * HEIGHT, length * WIDTH, HEIGHT)
                )
    words: list[str] = []
    for y, row in enumerate(cells.rows):
        for x, cell in enumerate(row):
            shape = glyph(cell.character)
            if shape is not None:
                for left, top, right, bottom in shape.rectangles:
                    at = x * WIDTH + left, y * HEIGHT + top
                    drawn = _rectangle(*at, right - left, bottom - top)
                    rectangles[cell.foreground, shape.strength].append(drawn)
                for curve in shape.curves:
                    curves[cell.foreground].append(_polygon(curve, x * WIDTH, y * HEIGHT))
        words += [_word(x, y, run) for x, run in _runs(row)]
    columns, rows = cells.size
    wide, tall = columns * WIDTH + 2 * MARGIN, rows * HEIGHT + 2 * MARGIN
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {tall}" '
            f'width="{wide}" height="{tall}">',
            f'<rect width="{wide}" height="{tall}" rx="{CORNER}" fill="{cells.background.hex}"/>',
            f'<g transform="translate({MARGIN} {MARGIN})">',
            '<g shape-rendering="crispEdges">',
            *(
                _path(colour, parts, "" if strength == 1 else f' fill-opacity="{strength:g}"')
                for (colour, strength), parts in rectangles.items()
            ),
            "</g>",
            *(_path(colour, parts) for colour, parts in curves.items()),
            f'<g font-family="{FONTS}" font-size="{FONT_SIZE}" style="white-space:pre">',
            *words,
            "</g>",
            "</g>",
            "</svg>",
            "",
        ]
    )


def _backgrounds(row: tuple[Cell, ...]) -> Iterator[tuple[int, int, ColorTriplet]]:
    """(first column, columns, colour) of neighbours of one background."""
    start = 0
    for x in range(1, len(row) + 1):
        if x == len(row) or row[x].background != row[start].background:
            yield start, x - start, row[start].background
            start = x


def _runs(row: tuple[Cell, ...]) -> Iterator[tuple[int, list[Cell]]]:
    """Words and their first columns: neighbours of one style that take a font, up to a gap."""
    run: list[Cell] = []
    for x, cell in enumerate((*row, None)):
        continues = cell is not None and cell.character == "" and run
        if cell is not None and (continues or _takes_font(cell)):
            if run and not continues and _style(run[0]) != _style(cell):
                yield x - len(run), run
                run = []
            run.append(cell)
        elif run:
            yield x - len(run), run
            run = []


def _takes_font(cell: Cell) -> bool:
    ruled = cell.underline or cell.strike
    return (
        cell.character != ""
        and (ruled or not cell.character.isspace())
        and not glyph(cell.character)
    )


def _style(cell: Cell) -> tuple[ColorTriplet, bool, bool, bool, bool]:
    return cell.foreground, cell.bold, cell.italic, cell.underline, cell.strike


def _word(x: int, y: int, run: list[Cell]) -> str:
    first = run[0]
    ruled = " ".join(
        name for name, on in [("underline", first.underline), ("line-through", first.strike)] if on
    )
    looks = [
        ("font-weight", "bold" if first.bold else ""),
        ("font-style", "italic" if first.italic else ""),
        ("text-decoration", ruled),
    ]
    marks = "".join(f' {name}="{value}"' for name, value in looks if value)
    text = escape("".join(cell.character for cell in run), quote=False)
    return (
        f'<text x="{x * WIDTH}" y="{y * HEIGHT + BASELINE:g}" textLength="{len(run) * WIDTH}" '
        f'fill="{first.foreground.hex}"{marks}>{text}</text>'
    )


def _path(colour: ColorTriplet, parts: list[str], more: str = "") -> str:
    return f'<path fill="{colour.hex}"{more} d="{"".join(parts)}"/>'


def _rectangle(x: float, y: float, width: float, height: float) -> str:
    return f"M{x:g} {y:g}h{width:g}v{height:g}h{-width:g}z"


def _polygon(points: Polygon, left: float, top: float) -> str:
    placed = [f"{round(left + x, 2):g} {round(top + y, 2):g}" for x, y in points]
    return "M" + "L".join(placed) + "z"
