"""The first line: which run, how it stands, on what, since when."""

from __future__ import annotations

from rich.text import Text

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD
from datm_engine.formatting import byte_size, duration
from datm_engine.runs.state import RunState

# Each state with a shape of its own, to be told apart without colour.
MARKS = {
    "running": ("●", DATA),
    "done": ("✓", GOOD),
    "stopped": ("■", ACCENT),
    "failed": ("✗", BAD),
    "crashed": ("✗", BAD),
    "stale": ("?", ACCENT),
    "new": ("○", ACCENT),
}


class Headline(Region):
    """`about`: what the run is of; `status` and `now` are kept up to date by the app."""

    def __init__(self, name: str, about: str) -> None:
        super().__init__(id="headline")
        self.run_name, self.about = name, about
        self.status, self.now = "new", 0.0

    def draw(self, state: RunState) -> Text:
        mark, colour = MARKS.get(self.status, ("?", ACCENT))
        left = Text.assemble(
            (f" {mark} ", colour),
            (printable(self.run_name), "bold"),
            (printable(f" {self.status}"), colour),
        )
        if self.about:
            left.append(printable(f"  {self.about}"))
        facts = self._facts(state)
        while True:  # as many facts as there is room for, the last ones first
            right = Text("   ".join(facts) + " ", style="dim")
            room = self.size.width - left.cell_len - right.cell_len
            if room >= 2 or not facts:
                break
            facts = facts[1:]
        left.truncate(self.size.width, overflow="ellipsis")
        return Text.assemble(left, " " * max(0, room), right)

    def _facts(self, state: RunState) -> list[str]:
        facts = []
        if state.started:
            facts.append(printable(state.started.device))
        if state.matched and state.matched[-1].memory:
            facts.append(byte_size(state.matched[-1].memory))
        if state.started and state.started.time:
            until = state.last_time if self.status != "running" else max(self.now, state.last_time)
            facts.append(duration(state.seconds_before + max(0.0, until - state.started.time)))
        return facts
