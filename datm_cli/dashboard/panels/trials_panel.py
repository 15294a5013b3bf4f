"""The trials of a tune: those at work, then the others, the best first."""

from __future__ import annotations

from rich.text import Text

from datm_cli.dashboard.panels.panel import Region
from datm_cli.text.escapes import printable
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD
from datm_engine.runs.state import RunState
from datm_engine.runs.trials import Trial, Trials

# Each state with a shape of its own, to be told apart without colour.
MARKS = {
    "running": ("▸", ACCENT),
    "complete": ("✓", GOOD),
    "pruned": ("·", "dim"),
    "stopped": ("■", ACCENT),
    "failed": ("✗", BAD),
}
BEST = ("★", GOOD)
BAR = 9  # columns; a trial is scored at each ninth of its way


class TrialTable(Region):
    """`trials` is kept up to date by the app; `shown`: the one that the other regions are of."""

    def __init__(self) -> None:
        super().__init__(id="trials", title="trials")
        self.trials = Trials()
        self.shown: int | None = None
        self.is_alive = False

    def draw(self, state: RunState) -> Text:
        trials = self.trials
        if not trials.all:
            return Text("no trial has begun", style="dim")
        best, first = trials.best, trials.first
        counted = f"{len(trials.over)} over of {len(trials.all)} begun"
        scores = []
        if best and best.score is not None and best.number:
            scores.append(f"best {best.score:.1f}%")
        if first and first.score is not None:
            scores.append(f"the settings as they are {first.score:.1f}%")
        self.entitle("trials", counted, ", ".join(scores))
        rows = self._in_order(trials)
        room = self.size.height
        if len(rows) > room:
            hidden = len(rows) - room + 1
            lines = [self._line(trial) for trial in rows[: room - 1]]
            lines.append(Text(f"   … {hidden} more", style="dim"))
        else:
            lines = [self._line(trial) for trial in rows]
        for line in lines:
            line.truncate(self.size.width - 2, overflow="ellipsis")
        return Text("\n").join(lines)

    def _in_order(self, trials: Trials) -> list[Trial]:
        working = list(reversed(trials.unfinished))
        others = [trial for trial in trials.ranked if trial.is_over]
        unscored = [trial for trial in trials.over if not trial.scores]
        return [*working, *others, *unscored]

    def _line(self, trial: Trial) -> Text:
        best = self.trials.best
        is_best = best is not None and best.number == trial.number and trial.is_over
        mark, colour = BEST if is_best else MARKS.get(trial.status, ("?", ACCENT))
        if trial.status == "running" and not self.is_alive:
            mark, colour = MARKS["stopped"]
        share = trial.iteration / trial.iterations if trial.iterations else 0.0
        full = round(share * BAR)
        score = "    – " if trial.score is None else f"{trial.score:5.1f}%"
        plain = "bold" if trial.number == self.shown else ""
        return Text.assemble(
            (f" {mark} ", colour),
            (f"{trial.number:>3} ", plain),
            ("━" * full, GOOD if is_best else DATA),
            ("─" * (BAR - full), "dim"),
            (f" {score}  ", "bold" if is_best else plain),
            (printable(trial.changes or "the settings as they are"), plain),
            (printable(f"  {trial.message}") if trial.message else "", BAD),
        )
