"""A grid of captioned pictures, in pages, with zoom and a picked item."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.segment import Segment
from rich.text import Text
from textual import events
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from datm_cli.screen.picture_widgets import Pixels, blank_strip, sharp_size
from datm_cli.text.plots import MARK
from datm_cli.text.quadrant_pictures import SMALL, Line, quadrants

ZOOMS = (4, 6, 8, 10, 12, 16, 20, 24, 32, 48)  # rows of a picture
_FITTED_ROWS = range(32, SMALL[1] - 1, -1)  # tried until all items fit on a page


@dataclass(frozen=True)
class Caption:
    """The line under an item. marked: show a sign before the text."""

    text: str
    marked: bool = False


@dataclass(frozen=True)
class PictureSource:
    """What a `PictureGrid` shows: items of `per_item` pictures side by side, a caption for each."""

    captions: Sequence[Caption]

    @property
    def per_item(self) -> int:
        return 1

    def pictures(self, items: range) -> Sequence[Sequence[Pixels | None]]:
        """The pictures of each item, None for an empty space."""
        raise NotImplementedError


class PictureGrid(Widget, can_focus=True):
    """Only pictures of the current page are read from the source.

    Arrows, pages and a click pick an item; enter or a second click opens it. An item is drawn with
    a column at each side, which frames the picked one, and a row for its caption.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"grid--caption", "grid--picked", "grid--mark"}
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
        """Another item was picked, or the page changed."""

        def __init__(self, grid: PictureGrid, item: int) -> None:
            super().__init__()
            self.grid, self.item = grid, item

    class Opened(Picked):
        """The picked item was opened."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self.source = PictureSource(())
        self.picked = 0
        self.zoom: int | None = None  # one of ZOOMS; None: so that all items fit on a page
        # Caches, of the current page and size.
        self._items: list[list[Line]] = []  # for each item its rows of pictures
        self._strips: list[Strip] | None = None
        self._picture_size: tuple[int, int] | None = None

    def show(self, source: PictureSource, picked: int = 0) -> None:
        self.source = source
        self.picked = max(0, min(picked, self.count - 1))
        self._redraw()

    # --- layout ---

    @property
    def count(self) -> int:
        return len(self.source.captions)

    @property
    def picture_size(self) -> tuple[int, int]:
        """(columns, rows) of one picture."""
        if self._picture_size is None:
            first = self.source.pictures(range(1))[0] if self.count else ()
            shape = next((picture.shape for picture in first if picture is not None), (1, 1))
            gaps = self.source.per_item + 1  # between the pictures, and the frame
            widest = max(1, (self.size.width - gaps) // self.source.per_item)
            for rows in [self.zoom] if self.zoom else _FITTED_ROWS:
                room = min(2 * rows, widest), max(1, min(rows, self.size.height - 1))
                self._picture_size = sharp_size(shape[0], shape[1], room)
                if self.per_page >= self.count:
                    break
        assert self._picture_size is not None
        return self._picture_size

    @property
    def item_width(self) -> int:
        """Columns: the pictures with a gap between them, and the frame."""
        return self.source.per_item * (self.picture_size[0] + 1) + 1

    @property
    def item_pitch(self) -> int:
        """Rows from one line of items to the next, with a gap if there is room for all gaps."""
        rows, (_, down) = self.picture_size[1] + 1, self.shape
        return rows + (1 if self.size.height >= down * rows + down - 1 else 0)

    @property
    def shape(self) -> tuple[int, int]:
        """(across, down): items on a page."""
        across = max(1, self.size.width // self.item_width)
        return across, max(1, self.size.height // (self.picture_size[1] + 1))

    @property
    def per_page(self) -> int:
        across, down = self.shape
        return across * down

    @property
    def page(self) -> range:
        """The items of the current page."""
        first = self.picked // self.per_page * self.per_page
        return range(first, min(self.count, first + self.per_page))

    @property
    def pages(self) -> tuple[int, int]:
        """(number of the current page from 1, number of pages)"""
        return self.picked // self.per_page + 1, -(-self.count // self.per_page) or 1

    # --- drawing ---

    def _redraw(self) -> None:
        self._items, self._strips, self._picture_size = [], None, None
        self.refresh()

    def on_resize(self) -> None:
        self._redraw()
        self.post_message(self.Picked(self, self.picked))

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._redraw()

    def render_line(self, y: int) -> Strip:
        if self._strips is None and self.size.area:
            self._strips = self._draw_page()
        return self._strips[y] if self._strips and y < len(self._strips) else blank_strip(self)

    def _draw_page(self) -> list[Strip]:
        page, rows, across = self.page, self.picture_size[1], self.shape[0]
        if not self._items:
            self._items = [self._draw_item(pictures) for pictures in self.source.pictures(page)]
        frame = self.get_component_rich_style("grid--picked")
        strips = []
        for first in range(page.start, page.stop, across):
            line_of_items = range(first, min(first + across, page.stop))
            lines: list[Line] = [[] for _ in range(rows + 1)]
            for item in line_of_items:
                left, right = "▐▌" if item == self.picked else "  "
                for line, drawn in zip(lines, self._items[item - page.start], strict=False):
                    line += [Segment(left, frame), *drawn, Segment(right, frame)]
                lines[rows] += self._draw_caption(item)
            strips += [
                Strip(line).adjust_cell_length(self.size.width, self.rich_style) for line in lines
            ]
            strips += [blank_strip(self)] * (self.item_pitch - (rows + 1))
        return strips

    def _draw_item(self, pictures: Sequence[Pixels | None]) -> list[Line]:
        """The rows of an item's pictures side by side."""
        columns, rows = self.picture_size
        style = self.rich_style
        lines: list[Line] = [[] for _ in range(rows)]
        for number, picture in enumerate(pictures):
            drawn = [[Segment(" " * columns, style)]] * rows
            if picture is not None:
                cells = quadrants(picture, columns, rows)
                drawn = cells.ramp(style) if self.app.console.no_color else cells.lines()
            for line, row in zip(lines, drawn, strict=True):
                line += [Segment(" ", style), *row] if number else row
        return lines

    def _draw_caption(self, item: int) -> Line:
        caption = self.source.captions[item]
        mark = f"{MARK} " if caption.marked else ""
        name = "grid--picked" if item == self.picked else "grid--caption"
        text = Text(mark + caption.text)
        text.truncate(self.item_width - 2, overflow="ellipsis", pad=True)
        # As spans, because `render` ignores a style of the whole text.
        text.stylize(self.get_component_rich_style(name))
        text.stylize(self.get_component_rich_style("grid--mark"), 0, len(mark))
        blank = Segment(" ", self.rich_style)
        return [blank, *text.render(self.app.console), blank]

    # --- picking ---

    def pick(self, item: int) -> None:
        """Pick an item and show its page. A number beyond the ends is ignored."""
        if not 0 <= item < self.count or item == self.picked:
            return
        before = self.page
        self.picked = item
        if self.page != before:
            self._items = []
        self._strips = None
        self.refresh()
        self.post_message(self.Picked(self, item))

    def action_move(self, across: int, down: int) -> None:
        self.pick(self.picked + across + down * self.shape[0])

    def action_first(self) -> None:
        self.pick(0)

    def action_last(self) -> None:
        self.pick(self.count - 1)

    def action_page(self, by: int) -> None:
        self.pick(self.page.start + by * self.per_page)

    def action_zoom(self, by: int) -> None:
        size, zoom = self.picture_size, self.zoom
        for rows in ZOOMS[::by]:
            if (rows - size[1]) * by <= 0:
                continue
            self.zoom, self._picture_size = rows, None
            if self.picture_size != size:  # sharp pictures do not come in every size
                break
        else:  # the largest or the smallest already
            self.zoom = zoom
        self._redraw()
        self.post_message(self.Picked(self, self.picked))

    def action_open(self) -> None:
        if self.count:
            self.post_message(self.Opened(self, self.picked))

    def on_click(self, event: events.Click) -> None:
        across, _ = self.shape
        column, row = event.x // self.item_width, event.y // self.item_pitch
        item = self.page.start + row * across + column
        if column >= across or item not in self.page:
            return
        if item == self.picked:
            self.action_open()
        self.pick(item)
