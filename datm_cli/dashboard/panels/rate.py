"""The student's learning rate η as it is learned."""

from __future__ import annotations

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.plots import Curve
from datm_engine.formatting import number
from datm_engine.runs.state import RunState


class Rate(Region):
    def __init__(self) -> None:
        super().__init__(id="rate", title="rate η")

    def draw(self, state: RunState) -> Curve:
        last = state.matched[-1].syn_lr if state.matched else None
        self.entitle("rate η", "" if last is None else number(last))
        return Curve(
            "",
            [event.iteration for event in state.matched],
            [event.syn_lr for event in state.matched],
            height=max(1, self.size.height - 2),
            smooth=False,
        )
