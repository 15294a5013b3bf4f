"""The dashboard of a tune: its trials, and the run of the trial that works, or was the best."""

from __future__ import annotations

from typing import Any, ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from datm_cli.dashboard.dashboard_app import DashboardApp
from datm_cli.dashboard.followed_run import FollowedRun
from datm_cli.dashboard.panels.images_panel import ImagesPanel
from datm_cli.dashboard.panels.status_panels import ALIVE, HeadlinePanel
from datm_cli.dashboard.panels.trials_panel import TrialsPanel
from datm_cli.text.escapes import printable
from datm_engine.hints import command
from datm_engine.tuning.tune_folder import Tune


class TuneDashboardApp(DashboardApp):
    """Shows a trial until it is over, then one that runs; at the end the best."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("4", "only('trials')", "trials")]
    PARTS = (*DashboardApp.PARTS, "trials")

    def __init__(self, tune: Tune, **options: Any) -> None:
        """options: those of a DashboardApp."""
        super().__init__(tune.run(0), **options)
        self.tune, self.controlled = tune, FollowedRun(tune.log)
        self.full_name = printable(f"tune {tune.name}")
        self.resume_command = tune.log.resume_command
        preset = command("datm", "distill", "--config", tune.preset)
        self.next_step = f"distill with it: {preset}"
        self.trial = 0  # the number of the one that is shown

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.tune.request()["config"]
        return config

    @property
    def file_name_parts(self) -> list[str]:
        return [self.tune.name, *super().file_name_parts]

    def done_message(self) -> list[str]:
        return [f"{self.full_name} is done; {self.next_step}"]

    def ending(self) -> list[Text]:
        return []  # the trials show it

    def compose_trials(self) -> ComposeResult:
        yield TrialsPanel()

    def read(self) -> bool:
        is_new = self.controlled.read()
        trials, trial = self.controlled.state.trials, self.trial
        running = [each.number for each in trials.unfinished]
        if running and self.controlled.state.ended is None:
            trial = trial if trial in running else running[-1]
        elif trials.best:
            trial = trials.best.number
        if trial != self.trial:
            self.trial, self.shown = trial, FollowedRun(self.tune.run(trial))
            self.query_one(ImagesPanel).follow(self.shown.run.path)
            self._next_drawing = 0.0
        return self.shown.read() or is_new

    def draw(self) -> None:
        panel = self.query_one(TrialsPanel)
        panel.trials, panel.shown = self.controlled.state.trials, self.trial
        panel.is_active = self.status in ALIVE
        name = printable(self.tune.name)
        self.query_one(HeadlinePanel).run_name = f"{name} · trial {self.trial}"
        super().draw()
