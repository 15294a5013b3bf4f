"""The trials of a tune, by its events."""

from __future__ import annotations

from dataclasses import dataclass, field

from datm_engine.runs import events
from datm_engine.runs.events import Event


@dataclass
class Trial:
    """One trial of a tune.

    draw: its point in the search space, a JSON object. scores: iteration → percent of held-out
    images. status: "running" until a TrialEnded event, even if no process works on it.
    """

    number: int
    run: str
    draw: str
    changes: str
    scores: dict[int, float] = field(default_factory=dict)
    iterations: int = 0
    status: str = "running"
    message: str = ""

    @property
    def score(self) -> float | None:
        """The best candidate's, which `datm distill` would select."""
        return max(self.scores.values(), default=None)

    @property
    def iteration(self) -> int:
        """Of the last candidate."""
        return max(self.scores, default=0)

    @property
    def is_over(self) -> bool:
        return self.status != "running"


@dataclass
class Trials:
    """The trials of a tune by number, in order of their start."""

    all: dict[int, Trial] = field(default_factory=dict)

    def add(self, event: Event) -> None:
        """Add an event. A trial that resumes repeats events; repeated ones change nothing."""
        match event:
            case events.TrialBegan():
                trial = Trial(event.trial, event.run, event.draw, event.changes)
                self.all.setdefault(event.trial, trial)
            case events.TrialScored(trial=number) if number in self.all:
                self.all[number].scores.setdefault(event.iteration, event.accuracy)
                self.all[number].iterations = event.iterations
            case events.TrialEnded(trial=number) if number in self.all:
                self.all[number].status = event.status
                self.all[number].message = event.message

    @property
    def over(self) -> list[Trial]:
        return [trial for trial in self.all.values() if trial.is_over]

    @property
    def unfinished(self) -> list[Trial]:
        return [trial for trial in self.all.values() if not trial.is_over]

    @property
    def first(self) -> Trial | None:
        """The trial with the unchanged settings."""
        return self.all.get(0)

    @property
    def ranked(self) -> list[Trial]:
        """Best first. A complete trial ranks before one that ended early, and a longer one before
        a shorter one, whatever their scores, because scores grow with iterations."""
        scored = [trial for trial in self.all.values() if trial.scores]
        return sorted(scored, key=lambda t: (t.status != "complete", -t.iteration, -(t.score or 0)))

    @property
    def best(self) -> Trial | None:
        return next(iter(self.ranked), None)
