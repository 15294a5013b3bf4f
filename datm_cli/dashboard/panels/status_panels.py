"""How far each stage is, how fast, and how long it will take."""

from __future__ import annotations

from rich.text import Text

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.plots import ACCENT, DATA, GOOD
from datm_cli.text.sentences import activity
from datm_engine.formatting import duration
from datm_engine.runs.state import STAGES, RunState

WIDE = 100  # columns


class Stages(Region):
    """A line a stage; where there is one line only, the stage under way."""

    def __init__(self) -> None:
        super().__init__(id="stages")
        self.run_is_alive = False

    def draw(self, state: RunState) -> Text:
        shown = STAGES[1:] if self.size.height >= len(STAGES) - 1 else (state.stage,)
        lines = [self._line(state, stage) for stage in shown]
        for line in lines:
            line.truncate(self.size.width, overflow="ellipsis")
        return Text("\n").join(lines)

    def _line(self, state: RunState, stage: str) -> Text:
        advance = state.stages[stage]
        here = STAGES.index(stage) - STAGES.index(state.stage)
        done = (state.ended is not None and state.ended.status == "done") or here < 0
        share = 1.0 if done else advance.done / advance.total if advance.total else 0.0
        bar = 24 if self.size.width >= WIDE else 10
        full = round(share * bar)
        mark, colour = ("▸", ACCENT) if here == 0 and self.run_is_alive else ("·", "dim")
        if done:
            mark, colour = "✓", GOOD
        line = Text.assemble(
            (f" {mark} ", colour),
            f"{stage:<11}",
            ("━" * full, GOOD if done else DATA),
            ("─" * (bar - full), "dim"),
            f" {_counted(advance.done, advance.total, over=done)}",
        )
        if here == 0 and self.run_is_alive:
            line.append("".join(f"  {fact}" for fact in self._facts(state, stage)))
        return line

    def _facts(self, state: RunState, stage: str) -> list[str]:
        facts = []
        if stage == "distill" and (seconds := state.recent_seconds):
            facts.append(f"{duration(seconds)}/iteration")
        left = state.seconds_left(stage)
        if left is not None and left > 0:
            facts.append(f"{duration(left)} left")
        if state.current and (task := activity(state.current)):
            bar = state.stages[stage]
            is_counted = (bar.done, bar.total) == (task.done, task.total)  # by the bar already
            facts.append(task.what if is_counted else f"{task.what} {task.done}/{task.total}")
        return facts


def _counted(done: float, total: float, *, over: bool) -> str:
    if not total:
        return f"{'none' if over else '–':>9}"
    return f"{int(done):,}/{int(total):,}".rjust(9)
