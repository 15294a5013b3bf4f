"""A soft label as bars: the likeliest classes that fit, and always the image's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group, RenderableType
from rich.text import Text
from textual.widget import Widget

from datm_cli.text.plots import MARK, ShareBars


class LabelBars(Widget):
    """The image's own class has the accent colour and a ◆."""

    DEFAULT_CSS = "LabelBars { width: 1fr; height: 1fr; }"

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._names: Sequence[str] = ()
        self._probabilities: NDArray[np.float64] = np.zeros(0)  # [classes]
        self._own = 0

    def show(self, names: Sequence[str], probabilities: NDArray[np.float64], own: int) -> None:
        self._names, self._probabilities, self._own = names, probabilities, own
        self.refresh()

    def render(self) -> RenderableType:
        if not self._names or not self.size.height:
            return ""
        rows = max(1, self.size.height - 1)  # below the title
        order = np.argsort(-self._probabilities, kind="stable").tolist()
        has_rest = len(order) > rows > 2
        shown = order[: rows - 1 if has_rest else rows]
        if self._own not in shown:
            shown[-1] = self._own
        parts: list[RenderableType] = [
            Text.assemble(("soft label", "bold"), f"  {MARK} its own", no_wrap=True),
            ShareBars(
                [self._names[number] for number in shown],
                [float(self._probabilities[number]) for number in shown],
                frozenset([shown.index(self._own)]),
            ),
        ]
        if has_rest:
            rest = max(0.0, 1 - float(self._probabilities[shown].sum()))
            parts.append(Text(f"  {len(order) - len(shown)} more classes: {rest:.1%}"))
        return Group(*parts)
