"""The dashboard of a tune: its trials, and the run of the trial that works, or was the best."""

from __future__ import annotations

from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from datm_cli.dashboard.dashboard_app import DashboardApp, printable_event
from datm_cli.dashboard.panels.images_panel import ImagesPanel
from datm_cli.dashboard.panels.status_panels import HeadlinePanel
from datm_cli.dashboard.panels.trials_panel import TrialsPanel
from datm_cli.text.escapes import printable
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.event_log import EventReader
from datm_engine.runs.state import RunState
from datm_engine.tuning.tune_folder import Tune


class TuneDashboardApp(DashboardApp):
    """Shows a trial until it is over, then one that runs; at the end the best."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("4", "only('trials')", "trials")]
    PARTS = (*DashboardApp.PARTS, "trials")
    kind = "tune"

    def __init__(self, tune: Tune, **options: Any) -> None:
        """options: those of a DashboardApp."""
        super().__init__(tune.run(0), **options)
        self.tune, self.tune_state = tune, RunState()
        self.tune_tail = EventReader(tune.log.event_log)
        self.tune_request = tune.request()
        self.trial = 0  # the number of the one that is shown

    @property
    def config(self) -> dict[str, Any]:
        config: dict[str, Any] = self.tune_request["config"]
        return config

    @property
    def process_run(self) -> Run:
        return self.tune.log

    @property
    def process_state(self) -> RunState:
        return self.tune_state

    @property
    def resume_command(self) -> str:
        return self.tune.resume_command

    @property
    def next_step(self) -> str:
        return f"distill with it: {command('datm', 'distill', '--config', self.tune.preset)}"

    @property
    def file_name_parts(self) -> list[str]:
        return [self.tune.name, *super().file_name_parts]

    def compose_trials(self) -> ComposeResult:
        yield TrialsPanel()

    def poll(self) -> None:
        try:
            new = self.tune_tail.read()
        except OSError:  # if the folder is gone, reading the trial's run reports it
            new = []
        if self.tune_tail.rewound:
            self.tune_state = RunState()
        for event in new:
            self.tune_state.add(printable_event(event))
        self._is_stale = self._is_stale or bool(new)
        if (trial := self._choose_trial()) != self.trial:
            self.trial = trial
            self.open_run(self.tune.run(trial))
            self.query_one(ImagesPanel).follow(self.shown_run.path)
            self._next_drawing = 0.0
        super().poll()

    def _choose_trial(self) -> int:
        trials = self.tune_state.trials
        running = [trial.number for trial in trials.unfinished]
        if running and self.tune_state.ended is None:
            return self.trial if self.trial in running else running[-1]
        return trials.best.number if trials.best else self.trial

    def draw(self) -> None:
        panel = self.query_one(TrialsPanel)
        panel.trials, panel.shown = self.tune_state.trials, self.trial
        panel.is_active = self.status == "running"
        name = printable(self.tune.name)
        self.query_one(HeadlinePanel).run_name = f"{name} · trial {self.trial}"
        super().draw()
