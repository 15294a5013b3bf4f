"""Panels of one line: the run in the headline, and how far its stages are."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text

from datm_cli.dashboard.panels.accuracy_panel import half_bar
from datm_cli.dashboard.panels.panel import Panel
from datm_cli.screen.full_screen import heading
from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD
from datm_cli.text.sentences import activity
from datm_engine.formatting import byte_size, duration
from datm_engine.runs.events import WaitBegan
from datm_engine.runs.state import STAGES, RunState

# Each status has a shape of its own, so that it can be recognised without colour.
STATUS_MARKS = {
    "running": ("●", DATA),
    "stopping": ("■", ACCENT),
    "done": ("✓", GOOD),
    "stopped": ("■", ACCENT),
    "failed": ("✗", BAD),
    "crashed": ("✗", BAD),
    "stale": ("?", ACCENT),
    "new": ("○", ACCENT),
}
ALIVE = ("running", "stopping")  # statuses
LONGEST_START = 120.0  # seconds from the command to the first event that count as time of the run


class HeadlinePanel(Panel):
    """The first line: the run, its status, its settings; device, memory and time at the right.

    The app keeps `status` and `now`, the time in seconds since the epoch, up to date. created: when
    the command was given.
    """

    status, now = "new", 0.0

    def __init__(self, name: str, settings: str, created: float) -> None:
        super().__init__()
        self.run_name, self.settings, self.created = name, settings, created

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
        # While a run works, time passes between its events, too.
        now = self.now if self.status in ALIVE else 0.0
        if (elapsed := elapsed_seconds(state, self.created, now)) is not None:
            facts.append(clock(elapsed))
        return heading(left, facts, self.size.width - 1, separator="   ")


def elapsed_seconds(state: RunState, created: float, now: float = 0.0) -> float | None:
    """Seconds that processes worked on a run, the first one from the command on, at `created`.

    now: where a process works. Returns None if none has worked.
    """
    if not (state.started and state.started.time):
        waited = now - created
        return waited if created and 0 <= waited <= LONGEST_START else None
    before = state.first_started - created
    before = before if 0 <= before <= LONGEST_START else 0.0
    end = max(now, state.last_time)
    return before + state.seconds_before + max(0.0, end - state.started.time)


class StagesPanel(Panel):
    """One line: what is done, how far the current stage is, what follows. When the run is over, its
    verdict (`ending`), a line each.

    is_active: whether a process works on the run. calibrates: whether it derives settings. now: in
    seconds since the epoch; both clocks of the screen are kept by the app.
    """

    is_active = False
    calibrates = False
    now = 0.0
    ending: Sequence[Text] = ()

    def draw(self, state: RunState) -> Text:
        if self.ending:
            lines = [Text(" ").append(line) for line in self.ending]
            for line in lines:
                line.truncate(self.size.width - 1, overflow="ellipsis")
            return Text("\n").join(lines)
        calibrates = self.calibrates or state.stage == "calibration"
        shown = [stage for stage in STAGES if stage != "calibration" or calibrates]
        line = Text()
        for detail in (3, 2, 1, 0):  # as much as fits
            line = Text("   ").join(self._stage(state, stage, detail) for stage in shown)
            if line.cell_len <= self.size.width - 2:
                break
        line.truncate(self.size.width - 2, overflow="ellipsis")
        return Text(" ").append(line)

    def _stage(self, state: RunState, stage: str, detail: int) -> Text:
        """detail: 3 with the task in words and all times, 2 without the task, 1 without the times
        of other stages, 0 without a bar."""
        progress = state.stages[stage]
        is_done = STAGES.index(stage) < STAGES.index(state.stage)
        name = "data" if stage == "dataset" else stage
        if is_done or (state.ended is not None and state.ended.status == "done"):
            seconds = state.seconds.get(stage, 0.0)
            count = f" {int(progress.total)}" if stage == "experts" and progress.total else ""
            took = f" {clock(seconds)}" if detail >= 2 and seconds >= 1 else ""
            return Text.assemble(("✓ ", GOOD), name, (count + took, "dim"))
        if stage != state.stage:
            return Text(f"· {name}", style="dim")
        is_active = self.is_active
        mark, colour = ("▸", ACCENT) if is_active else ("·", "dim")
        text = Text.assemble((f"{mark} ", colour), (name, "bold" if is_active else ""))
        if progress.total:
            share, width = progress.done / progress.total, (6, 12, 12, 16)[detail]
            filled = half_bar(share, width)
            text.append(f" {int(progress.done):,}/{int(progress.total):,} ")
            text.append(filled, style=DATA).append("─" * (width - len(filled)), style="dim")
        for fact in self._facts(state, stage, detail) if is_active else ():
            text.append(f"  {fact}")
        return text

    def _facts(self, state: RunState, stage: str, detail: int) -> list[str]:
        facts = []
        left = state.seconds_left(stage)
        if left is not None and left > 0:
            facts.append(f"{clock(left)} left")
        if stage == "distill" and (seconds := state.recent_seconds) and detail >= 2:
            facts.append(f"{duration(seconds)}/iteration")
        if isinstance(state.current, WaitBegan):
            if detail >= 1:
                waited = clock(max(0.0, self.now - state.current.time))
                facts.append(f"{printable(state.current.what)} {waited}")
        elif detail >= 3 and state.current and (task := activity(state.current)):
            progress = state.stages[stage]
            # The bar counts the same units in some stages.
            is_counted = (progress.done, progress.total) == (task.done, task.total)
            facts.append(task.what if is_counted else f"{task.what} {task.done}/{task.total}")
        elif detail >= 1 and not state.started:
            facts.append("starting the engine")
        return facts


def clock(seconds: float) -> str:
    """0:05, 12:34, 1:02:03."""
    minutes, whole = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{whole:02d}" if hours else f"{minutes}:{whole:02d}"
