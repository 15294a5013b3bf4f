"""The dashboard on a tune: its trials, and the run of the one that is at work, or was the best."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType

from datm_cli.dashboard.dashboard_app import Dashboard
from datm_cli.dashboard.panels.headline import Headline
from datm_cli.dashboard.panels.images_panel import Pictures
from datm_cli.dashboard.panels.trials_panel import TrialTable
from datm_cli.screen.picture_widgets import Picture
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.event_log import EventReader
from datm_engine.runs.state import RunState
from datm_engine.runs.trials import Trials
from datm_engine.tuning.tune_folder import Tune


class TuneDashboard(Dashboard):
    """Follows a trial until it is over, and then the one that is begun next."""

    BINDINGS: ClassVar[list[BindingType]] = [Binding("4", "only('trials')", "trials")]
    PARTS = (*Dashboard.PARTS, "trials")
    kind = "tune"

    def __init__(
        self,
        tune: Tune,
        *,
        make_picture: Callable[..., Picture] = Picture,
        clock: Callable[[], float] = time.time,
        follow: bool = True,
    ) -> None:
        self.tune, self.tune_state = tune, RunState()
        self.asked = tune.facts()
        self.number = 0
        super().__init__(tune.run(0), make_picture=make_picture, clock=clock, follow=follow)
        self.trial_tail = EventReader(tune.log.event_log)

    @property
    def settings(self) -> dict[str, Any]:
        config: dict[str, Any] = self.asked["config"]
        return config

    @property
    def watched(self) -> Run:
        return self.tune.log

    @property
    def resuming(self) -> str:
        return self.tune.resuming

    @property
    def looking(self) -> str:
        return f"distil with it: {command('datm', 'distill', '--config', self.tune.preset)}"

    @property
    def trials(self) -> Trials:
        return self.tune_state.trials

    @property
    def watched_state(self) -> RunState:
        return self.tune_state

    @property
    def called(self) -> list[str]:
        return [self.tune.name, *super().called]

    def compose_more(self) -> ComposeResult:
        yield TrialTable()

    def poll(self) -> None:
        self._hear()
        super().poll()

    def _hear(self) -> None:
        """What is new of the trials; and another run to follow, where the last is over."""
        try:
            told = self.trial_tail.read()
        except OSError:  # it is told of the trial's run, whose folder is beside it
            return
        if self.trial_tail.rewound:
            self.tune_state = RunState()
        for event in told:
            self.tune_state.add(event)
        self._stale = self._stale or bool(told)
        wanted = self._wanted()
        if wanted != self.number:
            self._turn_to(wanted)

    def _wanted(self) -> int:
        """The trial to follow: the same while it is at work, else one that is; the best at the
        end."""
        working = [trial.number for trial in self.trials.unfinished]
        if working and self.tune_state.ended is None:
            return self.number if self.number in working else working[-1]
        best = self.trials.best
        return best.number if best else self.number

    def _turn_to(self, number: int) -> None:
        self.number, self.of = number, self.tune.run(number)
        self.state, self.tail = RunState(), EventReader(self.of.event_log)
        self.query_one(Pictures).turn_to(self.of.path)
        self._next_drawing = 0.0

    def draw(self) -> None:
        table = self.query_one(TrialTable)
        table.trials, table.shown = self.trials, self.number
        table.is_alive = self.status == "running"
        self.query_one(Headline).run_name = f"{self.tune.name} · trial {self.number}"
        super().draw()
