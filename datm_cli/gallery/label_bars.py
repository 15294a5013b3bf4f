"""A soft label as bars: the likeliest classes that fit, and always the image's own."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.widget import Widget

from datm_cli.text.plots import ACCENT, DATA, MARK, bar

_WIDEST_NAME = 16


class LabelBars(Widget):
    """The image's own class has the accent colour and a ◆."""

    DEFAULT_CSS = "LabelBars { width: 1fr; height: 1fr; text-wrap: nowrap; }"
    _names: Sequence[str] = ()

    def show(self, names: Sequence[str], probabilities: NDArray[np.float64], own: int) -> None:
        """probabilities: [classes]. own: the number of the image's class."""
        self._names, self._probabilities, self._own = names, probabilities, own
        self.refresh()

    def render(self) -> Text:
        if not self._names:
            return Text()
        rows = max(1, self.size.height - 1)  # below the title
        order = np.argsort(-self._probabilities, kind="stable").tolist()
        has_rest = len(order) > rows > 2
        shown = order[: rows - 1 if has_rest else rows]
        if self._own not in shown:
            shown[-1] = self._own
        name_width = min(_WIDEST_NAME, max(cell_len(self._names[number]) for number in shown))
        bar_width = max(1, self.size.width - name_width - len("◆  100.0%") - 1)
        # The longest bar is the largest value: of many classes, all would be hairlines otherwise.
        largest = float(self._probabilities.max())
        own, scale = f"  {MARK} its own", f"  full bar {largest:.1%}"
        if len("soft label" + own + scale) > self.size.width:
            own = ""
        lines = [Text.assemble(("soft label", "bold"), own, (scale, "dim"))]
        for number in shown:
            share = float(self._probabilities[number])
            mark, colour = (MARK, ACCENT) if number == self._own else (" ", DATA)
            name = set_cell_size(self._names[number], name_width)
            filled, percentage = (bar(share / largest, bar_width), colour), f" {share:6.1%}"
            lines.append(Text.assemble((mark, ACCENT), f" {name} ", filled, percentage))
        if has_rest:
            rest = max(0.0, 1 - float(self._probabilities[shown].sum()))
            lines.append(Text(f"  {len(order) - len(shown)} more classes: {rest:.1%}"))
        return Text("\n").join(lines)
