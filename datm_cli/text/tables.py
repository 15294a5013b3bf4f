"""Rich tables in the one style that commands print: no borders, two spaces between columns.

A row is one line at any width: the least important columns are left out where it does not suffice,
long values are cut with "…", and names are never cut.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from copy import copy

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.measure import measure_renderables
from rich.table import Column, Table

GAP = 2  # columns between the columns of a table
LEAST_CUT = 8  # columns that are left of a value that is cut, at least
LEAST_PROSE = 24
UNBOUNDED = 100_000  # columns of a line that may be of any length


class FittedTable(Table):
    """A table that leaves columns out and cuts values until a row fits on a line.

    optional: headings of the columns that may be left out, the least important first. cut: of those
    whose values may end with "…". prose: of those with sentences, which are folded on a terminal
    and are one line elsewhere.
    """

    optional: Sequence[str] = ()
    cut: Collection[str] = ()
    prose: Collection[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        kept, left_out = self.columns, []
        needed = self._widths(console, options, kept, room=0)
        for heading in self.optional:
            if sum(needed) + GAP * (len(kept) - 1) <= options.max_width:
                break
            kept = [column for column in kept if column.header != heading]
            left_out.append(heading)
            needed = self._widths(console, options, kept, room=0)
        room = options.max_width - sum(needed) - GAP * (len(kept) - 1)
        widths = self._widths(console, options, kept, room)
        fitted = copy(self)
        fitted.columns = []
        for index, (column, width) in enumerate(zip(kept, widths, strict=True)):
            one = copy(column)
            # Rich knows a column by its index. With a width of its own, it is not made narrower.
            one._index, one.width = index, width
            one.no_wrap = column.header in self.cut
            one.overflow = "ellipsis" if column.header in self.cut else "fold"
            fitted.columns.append(one)
        if left_out and console.is_terminal:
            also = f"in a wider terminal also: {', '.join(reversed(left_out))}"
            fitted.caption = f"{self.caption}\n{also}" if self.caption else also
        # A name that is wider than the line continues behind its end.
        width = max(options.max_width, sum(widths) + GAP * (len(widths) - 1))
        yield from Table.__rich_console__(fitted, console, options.update(width=width))

    def _widths(
        self, console: Console, options: ConsoleOptions, columns: Sequence[Column], room: int
    ) -> list[int]:
        """The width of each column without the gap: what it takes at least, and a share of `room`
        where its values are longer."""
        unbounded = options.update(width=UNBOUNDED)
        widths, missing = [], {}
        for index, column in enumerate(columns):
            cells = [column.header, *column.cells]
            natural = measure_renderables(console, unbounded, cells).maximum
            least = natural
            if column.header in self.cut:
                least = min(natural, LEAST_CUT)
            elif column.header in self.prose and console.is_terminal:
                least = min(natural, LEAST_PROSE)
            widths.append(least)
            missing[index] = natural - least
        # The column that lacks least is served first, so that what it leaves is for the others.
        for served, (index, lacking) in enumerate(sorted(missing.items(), key=lambda i: i[1])):
            share = min(lacking, max(0, room) // (len(columns) - served))
            widths[index] += share
            room -= share
        return widths


def plain_table(
    *headings: str,
    right: Collection[str] = (),
    optional: Sequence[str] = (),
    cut: Collection[str] = (),
    prose: Collection[str] = (),
    title: str | None = None,
    caption: str | None = None,
) -> FittedTable:
    """A table with its title above and its caption below, both at the left.

    `right`: headings of the columns that are aligned at the right. `optional`, `cut`, `prose`: as
    `FittedTable` takes them; the values of all other columns are never cut.
    """
    table = FittedTable(
        *(Column(name, justify="right" if name in right else "left") for name in headings),
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
        caption_justify="left",
        box=None,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
    )
    table.optional, table.cut, table.prose = optional, cut, prose
    return table


def fact_table(rows: Sequence[tuple[str, str]]) -> Table:
    """Names and values, a line each. Long values are folded."""
    table = Table.grid(padding=(0, GAP, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*row)
    return table


def side_by_side(parts: Sequence[RenderableType], width: int, narrowest: int) -> Table:
    """Parts of equal width, as many on a line as fit in `width` at `narrowest` columns each."""
    fit = max(1, (width + GAP) // (narrowest + GAP))
    per_line = min(fit, len(parts))
    table = Table.grid(padding=(0, GAP, 0, 0), expand=True)
    for _ in range(per_line):
        table.add_column(ratio=1)
    for first in range(0, len(parts), max(1, per_line)):
        if first:
            table.add_row()  # a blank line
        table.add_row(*parts[first : first + per_line])
    return table
