"""The line above the pictures: where one is, and how what is there is shown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import RenderableType
from rich.text import Text
from textual.widget import Widget


class Heading(Widget):
    """Where at the left, the facts at the right as far as there is room."""

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._where: Sequence[str] = ()
        self._facts: Sequence[str] = ()

    def tell(self, where: Sequence[str], facts: Sequence[str]) -> None:
        """where: from the whole to its part; facts: the most important last."""
        self._where, self._facts = where, facts
        self.refresh()

    def render(self) -> RenderableType:
        if not self._where:
            return ""
        *above, here = self._where
        text = Text.assemble(*((f"{one} › ", "dim") for one in above), (here, "bold"), no_wrap=True)
        facts = list(self._facts)
        while facts and text.cell_len + 2 + cell_len(" · ".join(facts)) > self.size.width:
            facts.pop(0)
        right = " · ".join(facts)
        text.append(" " * (self.size.width - text.cell_len - cell_len(right)))
        text.append(right, "dim")
        return text
