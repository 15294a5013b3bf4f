"""The base class of the dashboard's panels, which draw a `RunState` as text.

To add a panel, write its class in this folder, pass its id and title to `Panel.__init__`, and yield
it in `DashboardApp.compose`. In `dashboard.tcss`, add its id to the panels with a ruled title and
give it a size.
"""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text
from textual.content import Content
from textual.widgets import Static

from datm_cli.text.escapes import printable
from datm_cli.text.plots import BAD
from datm_engine.errors import DatmError
from datm_engine.hints import fix_text
from datm_engine.runs.state import RunState


class Panel(Static):
    """A part of the screen that draws a state at the panel's size."""

    def __init__(self, *, id: str, title: str = "") -> None:
        super().__init__("", id=id, markup=False)
        self.state = RunState()
        self.border_title = title

    def draw(self, state: RunState) -> RenderableType:
        """Return what the panel shows, in `self.size` (columns and rows)."""
        raise NotImplementedError

    def show(self, state: RunState) -> None:
        self.state = state
        self.redraw()

    def redraw(self) -> None:
        if not (self.size.area and self.display):
            return
        try:
            drawing = self.draw(self.state)
        except DatmError as error:  # of a damaged file, while the other panels still work
            drawing = Text(error_text(error), style=BAD)
        # The size of a panel never depends on its content, so there is nothing to lay out.
        self.update(drawing, layout=False)

    def on_resize(self) -> None:
        self.redraw()

    def on_show(self) -> None:
        self.redraw()

    def set_title(self, title: str, *remarks: str) -> None:
        self.border_title = panel_title(title, *remarks)


def panel_title(title: str, *remarks: str) -> str:
    """A title with remarks after it, as markup for the ruled line above a panel."""
    remark = "  ".join(filter(None, remarks))
    return Content.assemble((title, "bold $primary"), f"  {remark}" if remark else "").markup


def error_text(error: DatmError) -> str:
    """The message and the hint, a line each."""
    return f"{printable(error.message)}\n{printable(fix_text(error.fix))}"
