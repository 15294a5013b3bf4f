"""The cells of an app's screen: a character and its colours each."""

from __future__ import annotations

from collections.abc import Iterable
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

_DIM = 0.5  # the background's share of dim text


@dataclass(frozen=True)
class ScreenCell:
    """A cell as it is seen. After a wide character follows a cell with an empty one."""

    character: str
    foreground: ColorTriplet
    background: ColorTriplet
    bold: bool = False
    underline: bool = False


@dataclass(frozen=True)
class ScreenCells:
    """Rows of equally many cells, and the colour around them."""

    rows: tuple[tuple[ScreenCell, ...], ...]
    background: ColorTriplet

    @property
    def size(self) -> tuple[int, int]:
        """(columns, rows)"""
        return len(self.rows[0]), len(self.rows)

    def text(self) -> str:
        """The characters, a line a row, without spaces at the ends."""
        lines = ("".join(cell.character for cell in row).rstrip() for row in self.rows)
        return "".join(line + "\n" for line in lines)


def capture(app: App[Any]) -> ScreenCells:
    """Return the cells of a running app's screen, with screens that show through from below."""
    # Textual has no public way to the cells that keeps its pending repaints.
    visible_screen_stack.set(app._background_screens)
    width, _ = app.screen.size
    strips = app.screen._compositor.render_strips()
    rows = (_cells(strip.adjust_cell_length(width), app.ansi_theme) for strip in strips)
    return ScreenCells(tuple(rows), ColorTriplet(*app.screen.background_colors[1].rgb))


def _cells(strip: Iterable[Segment], theme: TerminalTheme) -> tuple[ScreenCell, ...]:
    cells: list[ScreenCell] = []
    for text, style, _ in strip:
        styled = _empty_cell(style or Style.null(), theme)
        for character in text:
            width = get_character_cell_size(character)
            if width:
                cells.append(replace(styled, character=character))
                cells += [replace(styled, character="")] * (width - 1)
            elif cells:  # a combining character belongs to the one before it
                cells[-1] = replace(cells[-1], character=cells[-1].character + character)
    return tuple(cells)


def _empty_cell(style: Style, theme: TerminalTheme) -> ScreenCell:
    default = Color.default()  # stands for the colours of the theme
    front = (style.color or default).get_truecolor(theme, foreground=True)
    back = (style.bgcolor or default).get_truecolor(theme, foreground=False)
    if style.reverse:
        front, back = back, front
    if style.dim:
        front = blend_rgb(front, back, _DIM)
    return ScreenCell(" ", front, back, bool(style.bold), bool(style.underline))
