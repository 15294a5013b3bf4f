"""What stands on an app's screen, cell by cell, free of escapes and of Textual."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import get_character_cell_size
from rich.color import Color, blend_rgb
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual._context import visible_screen_stack
from textual.app import App

_FAINT = 0.5  # share of the background in dim text


@dataclass(frozen=True)
class Cell:
    """A character with the colours it is seen in. A wide one is followed by a cell without."""

    character: str
    foreground: ColorTriplet
    background: ColorTriplet
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False


@dataclass(frozen=True)
class Cells:
    """A screen: rows of equally many cells, and the colour around them."""

    rows: tuple[tuple[Cell, ...], ...]
    background: ColorTriplet

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)"""
        return (len(self.rows[0]) if self.rows else 0), len(self.rows)

    def text(self) -> str:
        """The characters alone, a line a row, without spaces at the ends."""
        lines = ("".join(cell.character for cell in row).rstrip() for row in self.rows)
        return "".join(line + "\n" for line in lines)


def capture(app: App[Any]) -> Cells:
    """The screen of a running app as it stands, with what shows through from screens below."""
    # Textual has no public way to the cells that leaves its pending repaints alone.
    visible_screen_stack.set(app._background_screens)
    strips = app.screen._compositor.render_strips()
    theme = app.ansi_theme
    width, _ = app.screen.size
    empty = Cell(" ", theme.foreground_color, theme.background_color)
    rows = []
    for strip in strips:
        row = [*_cells(strip, theme, empty)][:width]
        rows.append(tuple(row + [empty] * (width - len(row))))
    return Cells(tuple(rows), ColorTriplet(*app.screen.background_colors[1].rgb))


async def photograph(
    app: App[Any],
    *,
    size: tuple[int, int] = (120, 40),
    press: Iterable[str] = (),
    until: Callable[[], bool] = lambda: True,
    within: float = 30.0,
) -> Cells:
    """Run an app without a terminal and capture it at `size` (columns, rows).

    `until`: when it is ready, waited for before the keys `press` and once more after them. Raises
    TimeoutError if that takes longer than `within` seconds.
    """
    app.animation_level = "none"
    async with app.run_test(size=size) as pilot:
        deadline = time.monotonic() + within
        for keys in ((), tuple(press)):
            await pilot.press(*keys)
            while not until():
                if time.monotonic() > deadline:
                    raise TimeoutError(f"the screen was not ready after {within:g} seconds")
                await asyncio.sleep(0.02)
        await pilot.pause()
        return capture(app)


def _cells(strip: Iterable[Segment], theme: TerminalTheme, empty: Cell) -> list[Cell]:
    cells: list[Cell] = []
    for text, style, _ in strip:
        like = _like(style, theme, empty)
        for character in text:
            width = get_character_cell_size(character)
            if width == 0:  # an accent belongs to the letter before it
                if cells:
                    cells[-1] = replace(cells[-1], character=cells[-1].character + character)
                continue
            cells.append(replace(like, character=character))
            cells += [replace(like, character="")] * (width - 1)
    return cells


def _like(style: Style | None, theme: TerminalTheme, empty: Cell) -> Cell:
    """An empty cell of this style."""
    if style is None:
        return empty
    front = _rgb(style.color, theme, empty.foreground, foreground=True)
    back = _rgb(style.bgcolor, theme, empty.background, foreground=False)
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = blend_rgb(front, back, _FAINT)
    return Cell(
        " ",
        front,
        back,
        bool(style.bold),
        bool(style.italic),
        bool(style.underline),
        bool(style.strike),
    )


def _rgb(
    color: Color | None, theme: TerminalTheme, default: ColorTriplet, *, foreground: bool
) -> ColorTriplet:
    if color is None or color.is_default:
        return default
    return color.get_truecolor(theme, foreground)
