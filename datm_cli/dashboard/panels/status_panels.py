"""Panels of text: the headline, how far each stage is, and the log."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.text import Text

from datm_cli.dashboard.panels.panel import Panel, panel_title
from datm_cli.screen.full_screen import heading
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD
from datm_cli.text.sentences import activity, sentence
from datm_engine.formatting import byte_size, duration
from datm_engine.runs.state import STAGES, RunState

# Each status has a shape of its own, so that it can be recognised without colour.
STATUS_MARKS = {
    "running": ("●", DATA),
    "done": ("✓", GOOD),
    "stopped": ("■", ACCENT),
    "failed": ("✗", BAD),
    "crashed": ("✗", BAD),
    "stale": ("?", ACCENT),
    "new": ("○", ACCENT),
}
WIDE = 100  # columns


class HeadlinePanel(Panel):
    """The first line: the run, its status, its settings; device, memory and time at the right.

    The app keeps `status` and `now`, the time in seconds since the epoch, up to date.
    """

    status, now = "new", 0.0

    def __init__(self, name: str, settings: str) -> None:
        super().__init__()
        self.run_name, self.settings = name, settings

    def draw(self, state: RunState) -> Text:
        mark, colour = STATUS_MARKS.get(self.status, ("?", ACCENT))
        left = Text.assemble(
            (f" {mark} ", colour),
            (self.run_name, "bold"),
            (f" {self.status}", colour),
            f"  {self.settings}",
        )
        facts = []
        if state.started:
            facts.append(state.started.device)
        if state.matched and state.matched[-1].memory:
            facts.append(byte_size(state.matched[-1].memory))
        if state.started and state.started.time:
            # While a run works, time passes between its events, too.
            end = max(self.now if self.status == "running" else 0.0, state.last_time)
            facts.append(duration(state.seconds_before + max(0.0, end - state.started.time)))
        return heading(left, facts, self.size.width - 1, separator="   ")


class StagesPanel(Panel):
    """A progress bar for each stage; with a single row, for the current stage."""

    is_active = False

    def draw(self, state: RunState) -> Text:
        shown = STAGES[1:] if self.size.height >= len(STAGES) - 1 else (state.stage,)
        return Text("\n").join(self._line(state, stage) for stage in shown)

    def _line(self, state: RunState, stage: str) -> Text:
        progress = state.stages[stage]
        is_before = STAGES.index(stage) < STAGES.index(state.stage)
        is_done = is_before or (state.ended is not None and state.ended.status == "done")
        is_current = stage == state.stage and self.is_active
        share = 1.0 if is_done else progress.done / progress.total if progress.total else 0.0
        width = 24 if self.size.width >= WIDE else 10
        full = round(share * width)
        mark, colour = ("▸", ACCENT) if is_current else ("·", "dim")
        if is_done:
            mark, colour = "✓", GOOD
        count = f"{int(progress.done):,}/{int(progress.total):,}"
        if not progress.total:
            count = "none" if is_done else "–"
        return Text.assemble(
            (f" {mark} ", colour),
            f"{stage:<11}",
            ("━" * full, GOOD if is_done else DATA),
            ("─" * (width - full), "dim"),
            f" {count:>9}",
            *(f"  {fact}" for fact in (self._facts(state, stage) if is_current else ())),
        )

    def _facts(self, state: RunState, stage: str) -> list[str]:
        facts = []
        if stage == "distill" and (seconds := state.recent_seconds):
            facts.append(f"{duration(seconds)}/iteration")
        left = state.seconds_left(stage)
        if left is not None and left > 0:
            facts.append(f"{duration(left)} left")
        if state.current and (task := activity(state.current)):
            progress = state.stages[stage]
            # The bar counts the same units in some stages.
            is_counted = (progress.done, progress.total) == (task.done, task.total)
            is_wait = not task.total
            facts.append(
                task.what if is_counted or is_wait else f"{task.what} {task.done}/{task.total}"
            )
        return facts


class LogPanel(Panel):
    """The last lines of the log, then why a run ended, if it failed (`problems`)."""

    TITLE = "log"
    problems: Sequence[str] = ()

    def draw(self, state: RunState) -> Text:
        self.border_title = panel_title("why it ended" if self.problems else self.TITLE)
        height = self.size.height
        lines: list[Text] = [Text(line, style=BAD) for line in reversed(self.problems)]
        for event in reversed(state.log):  # from the last line up, as far as they fit
            if len(lines) >= height + len(self.problems):
                break
            if text := sentence(event):
                at = time.strftime("%H:%M:%S ", time.localtime(event.time))
                lines.append(Text.assemble((at, "dim"), text))
        wrapped = Text("\n").join(reversed(lines)).wrap(self.app.console, self.size.width)
        return Text("\n").join(wrapped[-height:])
