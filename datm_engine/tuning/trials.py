"""The trials of a tune: a fold over its events, for whoever decides and whoever shows."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass, field

from datm_engine.runs import events
from datm_engine.runs.events import Event
from datm_engine.tuning.search_space import Draw


@dataclass
class Trial:
    """`scores`: iteration → percent of the held-out images. `status` is "running" until it has
    ended, though no process may be at it."""

    number: int
    run: str
    draw: Draw
    changes: str
    scores: dict[int, float] = field(default_factory=dict)
    iterations: int = 0
    status: str = "running"
    message: str = ""

    @property
    def score(self) -> float | None:
        """Of its best candidate, which is the one that `datm distill` would select."""
        return max(self.scores.values(), default=None)

    @property
    def iteration(self) -> int:
        """Of its last candidate."""
        return max(self.scores, default=0)

    @property
    def is_over(self) -> bool:
        return self.status != "running"


@dataclass
class Trials:
    """All of a tune so far. `seconds`: what the processes that worked on it took together."""

    all: dict[int, Trial] = field(default_factory=dict)
    started: events.RunStarted | None = None
    ended: events.RunEnded | None = None
    seconds_before: float = 0.0
    last_time: float = 0.0

    def add(self, event: Event) -> None:
        """Take one more event in; what is told again changes nothing."""
        match event:
            case events.RunStarted():
                self.seconds_before = self.seconds
                self.started, self.ended = event, None
            case events.TrialBegan():
                known = Trial(event.trial, event.run, read_draw(event.draw), event.changes)
                self.all.setdefault(event.trial, known)
            case events.TrialScored():
                if trial := self.all.get(event.trial):
                    trial.scores.setdefault(event.iteration, event.accuracy)
                    trial.iterations = event.iterations
            case events.TrialEnded():
                if trial := self.all.get(event.trial):
                    trial.status, trial.message = event.status, event.message
            case events.RunEnded():
                self.ended = event
        self.last_time = max(self.last_time, event.time)

    @property
    def seconds(self) -> float:
        if self.started is None:
            return 0.0
        return self.seconds_before + max(0.0, self.last_time - self.started.time)

    @property
    def over(self) -> list[Trial]:
        return [trial for trial in self.all.values() if trial.is_over]

    @property
    def unfinished(self) -> list[Trial]:
        return [trial for trial in self.all.values() if not trial.is_over]

    @property
    def first(self) -> Trial | None:
        """The settings as they were asked for."""
        return self.all.get(0)

    @property
    def ranked(self) -> list[Trial]:
        """The best first. One that came further stands before one that was ended sooner, whatever
        their scores: these grow on the way. Of equal ones the earliest is first."""
        scored = [trial for trial in self.all.values() if trial.scores]
        return sorted(scored, key=lambda t: (t.status != "complete", -t.iteration, -(t.score or 0)))

    @property
    def best(self) -> Trial | None:
        return next(iter(self.ranked), None)


def read_draw(text: str) -> Draw:
    """Raises ValueError for what is no draw."""
    stated = json.loads(text)
    if not isinstance(stated, dict):
        raise ValueError("a draw is an object of numbers")
    return {str(name): float(value) for name, value in stated.items()}


def fold_trials(told: Iterable[Event]) -> Trials:
    """The trials after all these events."""
    trials = Trials()
    for event in told:
        trials.add(event)
    return trials
