"""What the run said, and of one that broke, why."""

from __future__ import annotations

import time

from rich.text import Text

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.escapes import printable
from datm_cli.text.plots import BAD
from datm_cli.text.sentences import sentence
from datm_engine.runs.state import RunState


class Log(Region):
    """The last lines that fit. `trouble`: what is wrong, then the engine's own last lines."""

    def __init__(self) -> None:
        super().__init__(id="log", title="log")
        self.trouble: list[str] = []

    def draw(self, state: RunState) -> Text:
        self.entitle("why it ended" if self.trouble else "log")
        lines = [
            Text.assemble((time.strftime("%H:%M:%S ", time.localtime(event.time)), "dim"), text)
            for event in state.log[-self.size.height :]
            if (text := sentence(event))
        ]
        if self.trouble:
            lines += [Text(printable(line), style=BAD) for line in self.trouble]
        told = Text("\n").join(lines)
        wrapped = told.wrap(self.app.console, self.size.width)
        return Text("\n").join(wrapped[-self.size.height :])
