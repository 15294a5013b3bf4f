"""Rich tables in the one style that commands print: no borders, two spaces between columns."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.table import Table

GAP = 2  # columns between the columns of a table


def plain_table(title: str = "", caption: str = "") -> Table:
    """A table with headings, its title above and its caption below, both at the left."""
    return Table(
        title=title or None,
        title_justify="left",
        title_style="bold",
        caption=caption or None,
        caption_justify="left",
        box=None,
        padding=(0, GAP, 0, 0),
        pad_edge=False,
    )


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
