"""The cells of an app's screen: a character and its colours each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from rich.cells import get_character_cell_size
from rich.color import blend_rgb
from rich.color_triplet import ColorTriplet
from rich.segment import Segment
from rich.style import Style
from rich.terminal_theme import TerminalTheme
from textual._context import visible_screen_stack
from textual.app import App

_DIM = 0.5  # the background's share of dim text


@dataclass(frozen=True)
class ScreenCell:
    """A cell as it is seen. After a wide character follows a cell with an empty one."""

    character: str
    foreground: ColorTriplet
    background: ColorTriplet
    bold: bool = False
    italic: bool = False
    underline: bool = False
    strike: bool = False


@dataclass(frozen=True)
class ScreenCells:
    """Rows of equally many cells, and the colour around them."""

    rows: tuple[tuple[ScreenCell, ...], ...]
    background: ColorTriplet

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)"""
        return (len(self.rows[0]) if self.rows else 0), len(self.rows)

    def text(self) -> str:
        """The characters, a line a row, without spaces at the ends."""
        lines = ("".join(cell.character for cell in row).rstrip() for row in self.rows)
        return "".join(line + "\n" for line in lines)


def capture(app: App[Any]) -> ScreenCells:
    """Return the cells of a running app's screen, with screens that show through from below."""
    # Textual has no public way to the cells that keeps its pending repaints.
    visible_screen_stack.set(app._background_screens)
    strips = app.screen._compositor.render_strips()
    theme = app.ansi_theme
    width, _ = app.screen.size
    empty = ScreenCell(" ", theme.foreground_color, theme.background_color)
    rows = []
    for strip in strips:
        row = _cells(strip, theme, empty)[:width]
        rows.append(tuple(row + [empty] * (width - len(row))))
    return ScreenCells(tuple(rows), ColorTriplet(*app.screen.background_colors[1].rgb))


async def photograph(
    app: App[Any],
    *,
    size: tuple[int, int] = (120, 40),
    press: Iterable[str] = (),
    until: Callable[[], bool] = lambda: True,
    within: float = 30.0,
) -> ScreenCells:
    """Run an app without a terminal of `size` (columns, rows), press keys, and capture it.

    until: whether the app is ready. It is awaited before the keys and after them.

    Raises:
        TimeoutError: the app is not ready `within` seconds.
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


def _cells(strip: Iterable[Segment], theme: TerminalTheme, empty: ScreenCell) -> list[ScreenCell]:
    cells: list[ScreenCell] = []
    for text, style, _ in strip:
        styled = _styled(style, theme, empty)
        for character in text:
            width = get_character_cell_size(character)
            if width:
                cells.append(replace(styled, character=character))
                cells += [replace(styled, character="")] * (width - 1)
            elif cells:  # a combining character belongs to the one before it
                cells[-1] = replace(cells[-1], character=cells[-1].character + character)
    return cells


def _styled(style: Style | None, theme: TerminalTheme, empty: ScreenCell) -> ScreenCell:
    """`empty` in this style."""
    if style is None:
        return empty
    front, back = empty.foreground, empty.background
    if style.color and not style.color.is_default:
        front = style.color.get_truecolor(theme, foreground=True)
    if style.bgcolor and not style.bgcolor.is_default:
        back = style.bgcolor.get_truecolor(theme, foreground=False)
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = blend_rgb(front, back, _DIM)
    flags = (bool(flag) for flag in (style.bold, style.italic, style.underline, style.strike))
    return ScreenCell(" ", front, back, *flags)
