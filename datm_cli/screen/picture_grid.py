"""A wall of captioned pictures in a full screen: pages, zoom, and one that is picked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from datm_cli.screen.picture_wall import Wall
from datm_cli.screen.picture_widgets import sharp_size
from datm_cli.text.escapes import printable
from datm_cli.text.plots import MARK
from datm_cli.text.quadrant_pictures import SMALL, Line, quadrants

Pixels = NDArray[np.uint8]
ZOOMS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 48)  # rows of a picture, and twice as many columns
_FITTED = range(32, SMALL[1], -1)  # rows tried, so that all places fit on a page


class PictureGrid(Widget, can_focus=True):
    """Only the page that is seen is asked for. One place is picked; arrows, a click and the pages
    move that, enter or a second click opens it."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "grid--caption",
        "grid--picked",
        "grid--mark",
    }
    DEFAULT_CSS = """
    PictureGrid { width: 1fr; height: 1fr; }
    PictureGrid > .grid--caption { color: $text-muted; }
    PictureGrid > .grid--picked { color: $foreground; text-style: bold; }
    PictureGrid:focus > .grid--picked { color: $accent; }
    PictureGrid > .grid--mark { color: $accent; }
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "move(-1, 0)", "pick", key_display="← → ↑ ↓", show=False),
        Binding("right", "move(1, 0)", show=False),
        Binding("up", "move(0, -1)", show=False),
        Binding("down", "move(0, 1)", show=False),
        Binding("home", "first", "pick the first", show=False),
        Binding("end", "last", "pick the last", show=False),
        Binding("n,pagedown", "page(1)", "next page", key_display="n", show=False),
        Binding("p,pageup", "page(-1)", "page before", key_display="p", show=False),
        Binding("plus,equals_sign", "zoom(1)", "larger", key_display="+", show=False),
        Binding("minus", "zoom(-1)", "smaller", key_display="−", show=False),
        Binding("enter", "open", "open"),
    ]

    class Picked(Message):
        """Another place is picked, or another page shown."""

        def __init__(self, grid: PictureGrid, place: int) -> None:
            super().__init__()
            self.grid, self.place = grid, place

    class Opened(Picked):
        """The picked place is to be seen by itself."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.wall: Wall | None = None
        self.picked = 0
        self.zoom: int | None = None  # one of ZOOMS; None: whatever lets all fit on a page
        self._tiles: list[list[Line]] = []  # of the page: for each place its lines of pictures
        self._strips: list[Strip] | None = None
        self._first: Sequence[Pixels | None] | None = None  # pictures, for their proportions
        self._tile: tuple[int, int] | None = None

    def hang(self, wall: Wall, picked: int = 0) -> None:
        """Show what hangs on a wall, from the page of `picked`."""
        self.wall = wall
        self.picked = max(0, min(picked, len(wall) - 1))
        self._draw_anew()

    # --- where things are ---

    @property
    def tile(self) -> tuple[int, int]:
        """(columns, rows) of one picture: as zoomed, or as large as lets all fit on a page."""
        if self._tile is None:
            shape = next((one.shape for one in self._first_pictures() if one is not None), (1, 1))
            zooms = [self.zoom] if self.zoom else [*_FITTED, SMALL[1]]
            for rows in zooms:
                self._tile = self._tile_within(rows, shape)
                across, down = self.shape
                if across * down >= len(self.wall or ()):
                    break
        assert self._tile is not None
        return self._tile

    def _tile_within(self, rows: int, shape: tuple[int, ...]) -> tuple[int, int]:
        beside = self.wall.beside if self.wall else 1
        widest = max(1, (self.size.width - 2 - (beside - 1)) // beside)
        room = min(2 * rows, widest), max(1, min(rows, self.size.height - 1))
        return sharp_size(shape[0], shape[1], room)

    @property
    def place_width(self) -> int:
        """Columns of a place with its frame."""
        beside = self.wall.beside if self.wall else 1
        return beside * self.tile[0] + (beside - 1) + 2

    @property
    def shape(self) -> tuple[int, int]:
        """(across, down): places on a page."""
        across = max(1, self.size.width // self.place_width)
        return across, max(1, self.size.height // (self.tile[1] + 1))

    @property
    def pitch(self) -> int:
        """Rows from one line of places to the next: with a gap where there is room for gaps."""
        needed, (_, down) = self.tile[1] + 1, self.shape
        return needed + (1 if self.size.height >= down * needed + down - 1 else 0)

    @property
    def page(self) -> range:
        """The places on the page that is seen."""
        across, down = self.shape
        first = self.picked // (across * down) * across * down
        return range(first, min(len(self.wall or ()), first + across * down))

    @property
    def pages(self) -> tuple[int, int]:
        """(the number of this page from 1, how many there are)"""
        across, down = self.shape
        each = across * down
        return self.picked // each + 1, -(-len(self.wall or ()) // each) or 1

    def _first_pictures(self) -> Sequence[Pixels | None]:
        if not self.wall:
            return []
        if self._first is None:
            self._first = self.wall.pictures(range(1))[0]
        return self._first

    # --- drawing ---

    def _draw_anew(self) -> None:
        self._tiles, self._strips, self._first, self._tile = [], None, None, None
        self.refresh()

    def on_resize(self) -> None:
        self._draw_anew()
        self.post_message(self.Picked(self, self.picked))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._draw_anew()

    def render_line(self, y: int) -> Strip:
        if self._strips is None and self.size.area:
            self._strips = self._page_strips()
        if self._strips and y < len(self._strips):
            return self._strips[y]
        return Strip([Segment(" " * self.size.width, self.rich_style)], self.size.width)

    def _page_strips(self) -> list[Strip]:
        if not self.wall:
            return []
        page, (columns, rows), across = self.page, self.tile, self.shape[0]
        if not self._tiles:
            self._tiles = [self._place_lines(each, columns, rows) for each in self._fetched(page)]
        gap = self.pitch - (rows + 1)
        strips = []
        for first in range(0, len(page), across):
            chosen = range(first, min(first + across, len(page)))
            for row in range(rows + 1):
                line: Line = []
                for number in chosen:
                    line += self._place_line(page[number], self._tiles[number], row, rows)
                strips.append(self._strip(line))
            strips += [self._strip([])] * gap
        return strips

    def _fetched(self, page: range) -> Sequence[Sequence[Pixels | None]]:
        return self.wall.pictures(page) if self.wall else []

    def _place_lines(
        self, pictures: Sequence[Pixels | None], columns: int, rows: int
    ) -> list[Line]:
        """The lines of a place's pictures beside each other."""
        base = self.rich_style
        lines: list[Line] = [[] for _ in range(rows)]
        for number, picture in enumerate(pictures):
            drawn: list[Line] = []
            if picture is not None:
                cells = quadrants(picture, columns, rows)
                drawn = cells.ramp(base) if self.app.console.no_color else cells.lines()
            for row, line in enumerate(lines):
                if number:
                    line.append(Segment(" ", base))
                line += drawn[row] if drawn else [Segment(" " * columns, base)]
        return lines

    def _place_line(self, place: int, lines: list[Line], row: int, rows: int) -> Line:
        """A line of a place with its frame, or its caption."""
        base = self.rich_style
        picked = self.get_component_rich_style("grid--picked")
        if row < rows:
            sides = "▐▌" if place == self.picked else "  "
            return [Segment(sides[0], picked), *lines[row], Segment(sides[1], picked)]
        assert self.wall is not None
        width = self.place_width - 2
        caption = self.wall.caption(place)
        style = picked if place == self.picked else self.get_component_rich_style("grid--caption")
        mark = f"{MARK} " if caption.marked else ""
        text = _fitted(printable(caption.text), width - cell_len(mark))
        rest = " " * (width - cell_len(mark) - cell_len(text))
        return [
            Segment(" ", base),
            Segment(mark, self.get_component_rich_style("grid--mark")),
            Segment(text, style),
            Segment(rest + " ", base),
        ]

    def _strip(self, line: Line) -> Strip:
        width = sum(segment.cell_length for segment in line)
        rest = max(0, self.size.width - width)
        return Strip([*line, Segment(" " * rest, self.rich_style)], width + rest).crop(
            0, self.size.width
        )

    # --- moving ---

    def pick(self, place: int) -> None:
        """Pick a place, and turn to its page; beyond the ends nothing happens."""
        if not self.wall or not 0 <= place < len(self.wall) or place == self.picked:
            return
        before = self.page
        self.picked = place
        if self.page != before:
            self._tiles = []
        self._strips = None
        self.refresh()
        self.post_message(self.Picked(self, place))

    def action_move(self, across: int, down: int) -> None:
        self.pick(self.picked + across + down * self.shape[0])

    def action_first(self) -> None:
        self.pick(0)

    def action_last(self) -> None:
        self.pick(len(self.wall or ()) - 1)

    def action_page(self, by: int) -> None:
        across, down = self.shape
        place = self.page.start + by * across * down
        if 0 <= place < len(self.wall or ()):
            self.pick(place)

    def action_zoom(self, by: int) -> None:
        tile, before = self.tile, self.zoom
        for rows in ZOOMS[::by]:
            if (rows - tile[1]) * by <= 0:
                continue
            self.zoom, self._tile = rows, None
            if self.tile != tile:  # small pictures are not sharp at every size
                break
        else:  # there is no more room
            self.zoom, self._tile = before, None
        self._draw_anew()
        self.post_message(self.Picked(self, self.picked))

    def action_open(self) -> None:
        if self.wall:
            self.post_message(self.Opened(self, self.picked))

    def on_click(self, event: events.Click) -> None:
        across, _ = self.shape
        column, row = event.x // self.place_width, event.y // self.pitch
        place = self.page.start + row * across + column
        if column >= across or place not in self.page:
            return
        if place == self.picked:
            self.action_open()
        self.pick(place)


def _fitted(text: str, width: int) -> str:
    if cell_len(text) <= width:
        return text
    return set_cell_size(text, width - 1) + "…" if width > 0 else ""
