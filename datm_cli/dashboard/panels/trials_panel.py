"""The panel of a tune's trials: those that run, then the others, the best first."""

from __future__ import annotations

from rich.text import Text

from datm_cli.dashboard.panels.panel import Panel, panel_title
from datm_cli.text.plots import ACCENT, BAD, DATA, GOOD
from datm_engine.runs.state import RunState
from datm_engine.runs.trials import Trial, Trials

# Each status has a shape of its own, so that it can be recognised without colour.
TRIAL_MARKS = {
    "running": ("▸", ACCENT),
    "complete": ("✓", GOOD),
    "pruned": ("·", "dim"),
    "stopped": ("■", ACCENT),
    "failed": ("✗", BAD),
}
BAR = 9  # columns: a trial is scored after each ninth of its iterations


class TrialsPanel(Panel):
    """The app keeps `trials`, `shown` and `is_active` up to date.

    shown: the number of the trial that the other panels show.
    """

    TITLE = "trials"
    trials = Trials()
    shown: int | None = None
    is_active = False

    def draw(self, state: RunState) -> Text:
        trials = self.trials
        if not trials.all:
            return Text("no trial has begun", style="dim")
        best, first = trials.best, trials.first
        scores = []
        if best and best.score is not None and best.number:
            scores.append(f"best {best.score:.1f}%")
        if first and first.score is not None:
            scores.append(f"the settings as they are {first.score:.1f}%")
        counts = f"{len(trials.over)} over of {len(trials.all)} begun"
        self.border_title = panel_title(self.TITLE, counts, ", ".join(scores))
        rows = [
            *reversed(trials.unfinished),
            *(trial for trial in trials.ranked if trial.is_over),
            *(trial for trial in trials.over if not trial.scores),
        ]
        height = self.size.height
        fitting = rows if len(rows) <= height else rows[: height - 1]
        lines = [self._line(trial) for trial in fitting]
        if len(fitting) < len(rows):
            lines.append(Text(f"   … {len(rows) - len(fitting)} more", style="dim"))
        return Text("\n").join(lines)

    def _line(self, trial: Trial) -> Text:
        is_best = trial.is_over and trial is self.trials.best
        status = trial.status
        if status == "running" and not self.is_active:
            status = "stopped"
        mark, colour = ("★", GOOD) if is_best else TRIAL_MARKS.get(status, ("?", ACCENT))
        full = round(BAR * trial.iteration / trial.iterations) if trial.iterations else 0
        score = "    – " if trial.score is None else f"{trial.score:5.1f}%"
        style = "bold" if trial.number == self.shown else ""
        return Text.assemble(
            (f" {mark} ", colour),
            (f"{trial.number:>3} ", style),
            ("━" * full, GOOD if is_best else DATA),
            ("─" * (BAR - full), "dim"),
            (f" {score}  ", "bold" if is_best else style),
            (trial.changes or "the settings as they are", style),
            (f"  {trial.message}" if trial.message else "", BAD),
        )
