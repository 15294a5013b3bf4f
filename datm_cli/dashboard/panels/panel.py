"""What every region of the screen is: a title and a drawing of the state at the region's size."""

from __future__ import annotations

from rich.console import RenderableType
from rich.text import Text
from textual.content import Content
from textual.widgets import Static

from datm_cli.text.escapes import printable
from datm_cli.text.plots import BAD
from datm_engine.errors import DatmError
from datm_engine.runs.state import RunState


class Region(Static):
    """Draws the state when it is shown, resized or given a new one, and only if it can be seen."""

    def __init__(self, *, id: str, title: str = "") -> None:
        super().__init__("", id=id, markup=False)
        self.state = RunState()
        self.title = title
        self.border_title = title

    def show(self, state: RunState) -> None:
        self.state = state
        self.redraw()

    def redraw(self) -> None:
        if not (self.size.area and self.display):
            return
        try:
            drawing: RenderableType = self.draw(self.state)
        except DatmError as problem:  # a damaged file: the other regions are still worth seeing
            drawing = Text(told_of(problem), style=BAD)
        self.update(drawing, layout=False)

    def on_resize(self) -> None:
        self.redraw()

    def on_show(self) -> None:
        self.redraw()

    def entitle(self, title: str, *remarks: str) -> None:
        """The title in the ruled line, and behind it what there is to remark."""
        self.border_title = titled(title, *remarks)

    def draw(self, state: RunState) -> RenderableType:
        """What to see; `self.size` says how much room there is."""
        raise NotImplementedError


def titled(title: str, *remarks: str) -> str:
    """A title, and behind it what there is to remark, as markup for a ruled line."""
    told = "  ".join(remark for remark in remarks if remark)
    return Content.assemble((title, "bold $primary"), (f"  {told}" if told else "", "")).markup


def told_of(problem: DatmError) -> str:
    """What is wrong and what to type, a line each."""
    return f"{printable(problem.message)}\n{printable(problem.hint)}"
