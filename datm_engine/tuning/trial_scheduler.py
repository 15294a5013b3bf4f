"""Decide which trial of a tune runs next, and which trials continue.

One process decides for all workers. It records every trial's start, scores and end as events, and
repeats the same decisions from these events when a tune resumes.

Trial 0 has the settings as they were given. Some of them may be derived from the experts while it
runs, so the search space is built after its first score. The other trials wait for that.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Set
from dataclasses import dataclass

from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.events import Event, TrialBegan, TrialEnded, TrialScored
from datm_engine.runs.state import fold
from datm_engine.runs.trials import Trial
from datm_engine.settings.config import Config
from datm_engine.tuning.optuna_search import OptunaSearch
from datm_engine.tuning.search_space import Point, SearchSpace, changes
from datm_engine.tuning.trial_settings import score_number

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Budget:
    """A number of trials, trial 0 included, or a time: seconds of all processes of the tune."""

    trials: int | None = None
    seconds: float | None = None

    def allows_another(self, trials: int) -> bool:
        return self.trials is None or trials < self.trials

    def is_spent(self, seconds: float) -> bool:
        return self.seconds is not None and seconds >= self.seconds


def parse_budget(text: str) -> Budget:
    """Parse "20" (trials) or "30m", "2h", "1.5h" (a time). Raises ConfigError."""
    stated = re.fullmatch(r"(\d{1,9})|(\d{1,9}(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    budget = Budget()
    if stated and stated[1]:
        budget = Budget(trials=int(stated[1]))
    elif stated:
        budget = Budget(seconds=float(stated[2]) * _SECONDS[stated[3]])
    if not (budget.trials or budget.seconds):
        raise ConfigError(
            f"budget {text}: neither a number of trials, as 20 is, nor a time, as 30m and 2h are",
            Setting("budget", 20),
        )
    return budget


class TrialScheduler:
    """Start, score and end the trials of a tune.

    recorded: the tune's events so far. record: writes an event and returns it with its time.
    centre: returns the settings of trial 0, with what was derived for it. held: keys that are not
    searched. iterations: of a trial that runs in full. seconds: returns the time since this
    process started to work on the tune.
    """

    def __init__(
        self,
        recorded: Iterable[Event],
        record: Callable[[Event], Event],
        centre: Callable[[], Config],
        *,
        held: frozenset[str],
        iterations: int,
        seed: int,
        budget: Budget,
        seconds: Callable[[], float],
    ) -> None:
        events = list(recorded)
        self.state = fold(events)
        self.trials = self.state.trials
        self._seconds_before = self.state.total_seconds
        self._record, self._centre = record, centre
        self._held, self._iterations, self._seed = held, iterations, seed
        self._budget, self._seconds = budget, seconds
        self._search: OptunaSearch | None = None  # None until trial 0 has a score, or is over
        self._continues: dict[tuple[int, int], bool] = {}  # by trial and iteration
        first = self.trials.first
        if first and (first.scores or first.is_over):
            self._start_search(events)

    @property
    def is_out_of_time(self) -> bool:
        return self._budget.is_spent(self._seconds_before + self._seconds())

    def next_trial(self, busy: Set[int] = frozenset()) -> Trial | None:
        """A trial to work on, interrupted or new. None if the budget is spent, and while the
        others wait for trial 0. busy: numbers of the trials that workers have."""
        if self.is_out_of_time:
            return None
        for trial in self.trials.unfinished:
            if trial.number in busy or (self._search is None and trial.number > 0):
                continue
            if self._continues.get((trial.number, trial.iteration), True):
                return trial
            self.end(trial.number)  # the tune was interrupted between this decision and its event
        started = len(self.trials.all)
        if not self._budget.allows_another(started) or (started and self._search is None):
            return None
        point: Point = {}
        changed = ""
        if self._search is not None:
            point = self._search.start_trial()
            changed = changes(self._search.space.centre, self._search.space.config(point))
        # JSON: events hold scalars only.
        run = f"trial-{started:03d}"
        self._add(TrialBegan(trial=started, run=run, draw=json.dumps(point), changes=changed))
        return self.trials.all[started]

    def config(self, number: int) -> Config:
        """The settings of a trial other than trial 0."""
        assert self._search is not None
        return self._search.space.config(json.loads(self.trials.all[number].draw))

    def score(self, number: int, iteration: int, accuracy: float) -> bool:
        """Record a candidate's score. Returns whether the trial continues. A trial that resumes
        repeats scores, and a repeated one gets the same answer."""
        if (known := self._continues.get((number, iteration))) is not None:
            return known
        event = TrialScored(
            trial=number, iteration=iteration, iterations=self._iterations, accuracy=accuracy
        )
        self._add(event)
        return self._decide(event, self._search or self._start_search([]))

    def end(self, number: int, failure: str = "") -> Trial:
        """Record a trial's end: in full, by its scores, by hand, or by a `failure`."""
        trial = self.trials.all[number]
        status = "stopped"
        if failure:
            status = "failed"
        elif self._iterations in trial.scores:
            status = "complete"
        elif not self._continues.get((number, trial.iteration), True):
            status = "pruned"
        self._add(TrialEnded(trial=number, status=status, message=failure))
        search = self._search or self._start_search([])
        search.end_trial(number, complete=status == "complete")
        return trial

    def _start_search(self, recorded: list[Event]) -> OptunaSearch:
        """Build the search around trial 0's settings, and repeat the events of other trials."""
        space = SearchSpace(self._centre(), self._held)
        search = self._search = OptunaSearch(space, self._seed)
        search.start_trial(space.centre_point)  # trial 0
        for event in recorded:
            match event:
                case TrialBegan() if event.trial > 0:
                    search.start_trial(json.loads(self.trials.all[event.trial].draw))
                case TrialScored() if (event.trial, event.iteration) not in self._continues:
                    self._decide(event, search)
                case TrialEnded():
                    trial = self.trials.all[event.trial]
                    search.end_trial(trial.number, complete=trial.status == "complete")
        return search

    def _decide(self, event: TrialScored, search: OptunaSearch) -> bool:
        step = score_number(event.iteration, self._iterations)
        # Asked at the last iteration too, where no trial continues: its score counts for others.
        is_good = search.report(event.trial, step, event.accuracy)
        continues = is_good and event.iteration < self._iterations
        self._continues[event.trial, event.iteration] = continues
        return continues

    def _add(self, event: Event) -> None:
        self.state.add(self._record(event))
