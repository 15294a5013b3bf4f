"""How the experts learn: accuracy and loss by epoch, all experts together."""

from __future__ import annotations

from rich.console import Group, RenderableType

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.plots import ACCENT, DATA, Curve
from datm_engine.runs.state import RunState


class Learning(Region):
    """The line is the mean over experts, the range spans them."""

    def __init__(self) -> None:
        super().__init__(id="learning", title="experts")

    def draw(self, state: RunState) -> RenderableType:
        told = [event for own in state.epochs.values() for event in own]
        known = f"{len(state.epochs)} begun, {len(state.trained)} done"
        self.entitle("experts", known if told else "")
        height = max(1, (self.size.height - 6) // 2)
        epochs = [event.epoch for event in told]
        return Group(
            Curve(
                "training accuracy %",
                epochs,
                [event.accuracy for event in told],
                height=height,
                smooth=False,
                colour=DATA,
            ),
            Curve(
                "training loss",
                epochs,
                [event.loss for event in told],
                height=height,
                smooth=False,
                colour=ACCENT,
            ),
        )
