"""What is tried next, and which trial may go on: decided here alone, for however many workers.

The first trial has the settings as they were asked for. They may be settled while it runs, from
its experts, so the centre of the search is read once it has been scored; others wait until then.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Set

from datm_engine.runs.events import Event, TrialBegan, TrialEnded, TrialScored
from datm_engine.settings.config import Config
from datm_engine.tuning.budget import Budget
from datm_engine.tuning.optuna_search import Search
from datm_engine.tuning.rungs import Rungs
from datm_engine.tuning.search_space import Draw, Space, changes
from datm_engine.tuning.trials import Trial, Trials, fold_trials


class Conductor:
    """`told`: the tune's events so far; `record` keeps one more. `centre()`: the settings that the
    first trial has come to. `seconds()`: since this process began to work on the tune."""

    def __init__(
        self,
        told: Iterable[Event],
        record: Callable[[Event], Event],
        centre: Callable[[], Config],
        *,
        held: frozenset[str],
        rungs: Rungs,
        seed: int,
        budget: Budget,
        seconds: Callable[[], float],
    ) -> None:
        told = list(told)
        self.trials: Trials = fold_trials(told)
        self._before = self.trials.seconds
        self._record, self._centre = record, centre
        self._held, self._rungs, self._seed = held, rungs, seed
        self._budget, self._seconds = budget, seconds
        self._search: Search | None = None
        self._decided: dict[tuple[int, int], bool] = {}  # trial, iteration → whether it goes on
        first = self.trials.first
        if first and (first.scores or first.is_over):
            self._open(told)

    @property
    def is_out_of_time(self) -> bool:
        return self._budget.is_spent(self._before + self._seconds())

    def next(self, busy: Set[int] = frozenset()) -> Trial | None:
        """A trial to work on: one that was interrupted, or a new one; None where there is none,
        or none until the first has been scored. `busy`: those that are being worked on."""
        if self.is_out_of_time:
            return None
        for trial in self.trials.unfinished:
            if trial.number in busy or not (self._search or trial.number == 0):
                continue
            if self._decided.get((trial.number, trial.iteration), True):
                return trial
            self.ended(trial.number)  # decided, but cut off before it could be told
        begun = len(self.trials.all)
        if not self._budget.allows(begun) or (begun and self._search is None):
            return None
        return self._begin(begun)

    def config(self, number: int) -> Config:
        """The settings of a trial other than the first."""
        assert self._search is not None
        return self._search.space.at(self.trials.all[number].draw)

    def scored(self, number: int, iteration: int, accuracy: float) -> bool:
        """Whether a trial may go on after this candidate; a candidate that is told again, by a
        trial that was interrupted, gets the same answer."""
        if (known := self._decided.get((number, iteration))) is not None:
            return known
        told = TrialScored(
            trial=number,
            iteration=iteration,
            iterations=self._rungs.iterations,
            accuracy=accuracy,
        )
        self._tell(told)
        if self._search is None:
            self._open([])
        return self._decide(told)

    def ended(self, number: int, failure: str = "") -> Trial:
        """The trial, as it has ended: at its end, at a rung, by hand, or by a `failure`."""
        trial = self.trials.all[number]
        status = "stopped"
        if failure:
            status = "failed"
        elif self._rungs.iterations in trial.scores:
            status = "complete"
        elif not self._decided.get((number, trial.iteration), True):
            status = "pruned"
        self._tell(TrialEnded(trial=number, status=status, message=failure))
        if self._search is None:
            self._open([])
        self._end(trial)
        return trial

    def _begin(self, number: int) -> Trial:
        draw: Draw = {}
        told = ""
        if self._search is not None:
            draw = self._search.begin()
            told = changes(self._search.space.centre, self._search.space.at(draw))
        self._tell(
            TrialBegan(trial=number, run=f"trial-{number:03d}", draw=json.dumps(draw), changes=told)
        )
        return self.trials.all[number]

    def _open(self, told: list[Event]) -> None:
        """The search around the centre, with all that has been told of trials."""
        space = Space(self._centre(), self._held)
        self._search = Search(space, self._seed)
        self._search.begin(space.identity)
        for event in told:
            match event:
                case TrialBegan() if event.trial > 0:
                    self._search.begin(self.trials.all[event.trial].draw)
                case TrialScored() if (event.trial, event.iteration) not in self._decided:
                    self._decide(event)
                case TrialEnded():
                    self._end(self.trials.all[event.trial])

    def _decide(self, told: TrialScored) -> bool:
        assert self._search is not None
        step = self._rungs.step(told.iteration)
        goes_on = self._search.goes_on(told.trial, step, told.accuracy)
        if told.iteration >= self._rungs.iterations:
            goes_on = False
        self._decided[told.trial, told.iteration] = goes_on
        return goes_on

    def _end(self, trial: Trial) -> None:
        assert self._search is not None
        self._search.end(trial.number, complete=trial.status == "complete")

    def _tell(self, event: Event) -> None:
        self.trials.add(self._record(event))
