"""A soft label as bars: the likeliest classes that fit, and always the one it was made for."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text
from textual.widget import Widget

from datm_cli.text.plots import MARK, ShareBars


class LabelBars(Widget):
    """The true class has the accent's colour and a ◆."""

    DEFAULT_CSS = "LabelBars { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names: Sequence[str] = ()
        self._shares: NDArray[np.float64] = np.zeros(0)
        self._own = 0

    def show(self, names: Sequence[str], shares: NDArray[np.float64], own: int) -> None:
        """shares: [classes] probabilities; own: the class the image was made for."""
        self._names, self._shares, self._own = names, shares, own
        self.refresh()

    def render(self) -> RenderableType:
        if not self._names or not self.size.height:
            return ""
        room = max(1, self.size.height - 1)  # below the heading
        order = np.argsort(-self._shares, kind="stable").tolist()
        rest_is_told = len(order) > room > 2
        shown = order[: room - 1 if rest_is_told else room]
        if self._own not in shown:
            shown[-1] = self._own
        bars = ShareBars(
            [self._names[number] for number in shown],
            [float(self._shares[number]) for number in shown],
            frozenset([shown.index(self._own)]),
        )
        parts: list[RenderableType] = [
            Text.assemble(("soft label", "bold"), f"  {MARK} its own", no_wrap=True),
            bars,
        ]
        if rest_is_told:
            rest = max(0.0, 1 - float(self._shares[shown].sum()))
            parts.append(Text(f"  {len(order) - len(shown)} more classes: {rest:.1%}"))
        return Group(*parts)
