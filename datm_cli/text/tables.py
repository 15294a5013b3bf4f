"""Rich tables in the one style that commands print: no borders, two spaces between columns."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from rich.console import RenderableType
from rich.table import Column, Table

GAP = 2  # columns between the columns of a table


def plain_table(
    *headings: str,
    right: Collection[str] = (),
    unbroken: Collection[str] = (),
    title: str | None = None,
    caption: str | None = None,
) -> Table:
    """A table with its title above and its caption below, both at the left.

    `right`: headings of the columns that are aligned at the right. `unbroken`: of those whose
    values are cut off where they do not fit; others are folded.
    """
    columns = (
        Column(
            heading,
            justify="right" if heading in right else "left",
            no_wrap=heading in unbroken,
            overflow="fold",
        )
        for heading in headings
    )
    return Table(
        *columns,
        title=title,
        title_justify="left",
        title_style="bold",
        caption=caption,
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
