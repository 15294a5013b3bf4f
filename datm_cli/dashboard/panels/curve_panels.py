"""The matching loss over the iterations: its line, smoothed, and the range it spans."""

from __future__ import annotations

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.plots import Curve
from datm_engine.formatting import number
from datm_engine.runs.state import RunState


class Loss(Region):
    def __init__(self) -> None:
        super().__init__(id="loss", title="matching loss")
        self.log_scale = False

    def draw(self, state: RunState) -> Curve:
        last = state.matched[-1] if state.matched else None
        now = "" if last is None else "not finite" if last.loss is None else number(last.loss)
        self.entitle("matching loss", now, "log scale" if self.log_scale else "")
        return Curve(
            "",
            [event.iteration for event in state.matched],
            [event.loss for event in state.matched],
            height=max(1, self.size.height - 2),
            log_scale=self.log_scale,
        )
