"""The base class of the dashboard's panels, which draw a `RunState` as text.

To add a panel, write its class with a `TITLE` in this folder, yield it in `DashboardApp.compose`,
and give it a size in `dashboard.tcss`.
"""

from __future__ import annotations

from typing import ClassVar

from rich.cells import cell_len
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
    """A part of the screen that draws a state at the panel's size.

    EXPLANATION: half a sentence after the title, shown where there is room.
    """

    TITLE: ClassVar[str] = ""
    EXPLANATION: ClassVar[str] = ""

    def __init__(self) -> None:
        super().__init__(markup=False)
        self.state = RunState()
        self.border_title = self.TITLE

    def draw(self, state: RunState) -> RenderableType:
        """Return what the panel shows, in `self.size` (columns and rows)."""
        raise NotImplementedError

    def set_title(self, *remarks: str) -> None:
        self.border_title = panel_title(
            self.TITLE, *remarks, explanation=self.EXPLANATION, width=self.size.width
        )

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


def panel_title(title: str, *remarks: str, explanation: str = "", width: int = 0) -> Content:
    """A title, remarks after it and, if all fit into `width` columns, an explanation.

    It is content, because a string would be read as markup.
    """
    text = "  ".join(filter(None, (title, *remarks)))
    if not explanation or cell_len(f"{text}  {explanation}") > width:
        return Content(text)
    return Content.assemble(text, (f"  {explanation}", "not bold $text-muted"))


def error_text(error: DatmError) -> str:
    """The message and the hint, a line each."""
    return f"{printable(error.message)}\n{printable(fix_text(error.fix))}"
