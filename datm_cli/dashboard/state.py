"""All that the dashboard knows: a fold over a run's events, and nothing besides.

    state = State()
    for event in events: state.add(event)

The same events give the same state, in whatever portions they come. Where a run goes on from a
checkpoint, the iterations after it are forgotten and told anew.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass, field

from datm_cli.text.sentences import Refusals, sentence
from datm_engine.runs import events
from datm_engine.runs.event_replay import is_undone
from datm_engine.runs.events import Event

STAGES = ("dataset", "experts", "references", "distill", "evaluate")
LOG_LINES = 1000
RECENT = 50  # iterations whose speed counts


@dataclass
class Advance:
    """`done` of `total` units of a stage since `began`, when `before` were done already; `at`:
    when it was last heard of. Times are seconds since the epoch."""

    done: float = 0.0
    total: float = 0.0
    began: float = 0.0
    at: float = 0.0
    before: float = 0.0

    def update(self, done: float, total: float, time: float) -> None:
        if not self.began:
            self.began, self.before = time, done
        self.done, self.total, self.at = done, max(total, done), time

    @property
    def seconds_left(self) -> float | None:
        """By the pace so far; None before there is one."""
        gained = self.done - self.before
        if gained <= 0 or self.at <= self.began:
            return None
        return (self.at - self.began) / gained * (self.total - self.done)


@dataclass
class State:
    started: events.RunStarted | None = None
    ended: events.RunEnded | None = None
    dataset: events.DatasetReady | None = None
    stage: str = STAGES[0]
    stages: dict[str, Advance] = field(default_factory=lambda: {s: Advance() for s in STAGES})
    doing: str = ""  # what the stage is at just now, in words
    epochs: dict[int, list[events.ExpertEpoch]] = field(default_factory=dict)
    trained: dict[int, events.ExpertTrained] = field(default_factory=dict)
    matched: list[events.Matched] = field(default_factory=list)
    candidates: list[events.CandidateScored] = field(default_factory=list)
    results: list[events.Evaluated] = field(default_factory=list)
    samples: list[events.SampleSaved] = field(default_factory=list)
    log: list[tuple[float, str]] = field(default_factory=list)
    last_time: float = 0.0
    seconds_before: float = 0.0  # of the processes that worked on the run before this one
    _planned: events.ExpertsPlanned | None = None
    _refusals: Refusals = field(default_factory=Refusals)

    def add(self, event: Event) -> None:
        """Take one more event in."""
        if isinstance(event, events.RunStarted):
            self._go_on(event)
        self.last_time = max(self.last_time, event.time)
        match event:
            case events.EvaluationChanged():
                self.results = []
            case events.DatasetProgress():
                self._advance("dataset", event.done, event.total, event.time, event.what)
            case events.DatasetReady():
                self.dataset = event
                self._advance("dataset", 1, 1, event.time, "")
            case events.ExpertsPlanned():
                self._plan(event)
            case events.DifficultyProgress():
                self.doing = f"telling easy images from hard, epoch {event.done}/{event.total}"
            case events.ExpertEpoch():
                self._train(event)
            case events.ExpertTrained():
                self.trained[event.expert] = event
            case events.CourseProgress():
                self.doing = f"measuring experts, {event.done}/{event.total}"
            case events.Matched():
                while self.matched and self.matched[-1].iteration >= event.iteration:
                    self.matched.pop()  # told anew, and the start that said so is damaged
                self.matched.append(event)
                self._advance("distill", event.iteration, event.iterations, event.time, "")
            case events.CandidateScored():
                others = [e for e in self.candidates if e.iteration != event.iteration]
                self.candidates = [*others, event]
                self.doing = ""
            case events.SelectionProgress():
                what = f"choosing images, {event.set} {event.done}/{event.total}"
                self._advance(self._comparing, event.row, event.rows, event.time, what)
            case events.EvaluationProgress():
                self._evaluate(event)
            case events.Evaluated():
                self.results.append(event)
                if self.stage in ("references", "evaluate"):
                    self.stages[self.stage].done = math.ceil(self.stages[self.stage].done)
            case events.SampleSaved():
                self.samples.append(event)
            case events.RunEnded():
                self.ended, self.doing = event, ""
        if text := sentence(event) or self._refusals.sentence(event):
            self.log.append((event.time, text))
            del self.log[:-LOG_LINES]

    @property
    def recent_seconds(self) -> float | None:
        """An iteration's length just now: the median of the last ones."""
        lengths = sorted(event.seconds for event in self.matched[-RECENT:])
        return lengths[len(lengths) // 2] if lengths else None

    def seconds_left(self, stage: str) -> float | None:
        """Of this stage, not of those after it."""
        advance = self.stages[stage]
        if stage == "distill" and self.recent_seconds is not None:
            # Between iterations candidates are scored: what the pace includes, they do not.
            return max(
                self.recent_seconds * (advance.total - advance.done), advance.seconds_left or 0.0
            )
        return advance.seconds_left

    def reference(self, name: str, part: str) -> float | None:
        """Accuracy of the real images called `name` ("random", "full", …); see `references`."""
        return self.references(part).get(name)

    def references(self, part: str) -> dict[str, float]:
        """Accuracy of all real images there are rows of, by the first network, on the part of the
        data ("validation", "test") that candidates are scored on; percent."""
        found: dict[str, float] = {}
        for row in self.results:
            value = row.accuracy_mean if part == "test" else row.validation_mean
            if not row.set.startswith("distilled") and value is not None:
                found.setdefault(row.set, value)
        return found

    def starts(self, last: int) -> list[int]:
        """Start epochs of the last iterations."""
        return [event.start_epoch for event in self.matched[-last:]]

    def _go_on(self, event: events.RunStarted) -> None:
        if self.started:
            self.seconds_before += max(0.0, self.last_time - self.started.time)
        self.started, self.ended, self.doing = event, None, ""
        self.stage, self.stages = STAGES[0], {s: Advance() for s in STAGES}
        at = bisect_right([e.iteration for e in self.matched], event.resumed_at)
        self.matched = self.matched[:at]
        self.candidates = [e for e in self.candidates if not is_undone(e, event)]
        self.results = [e for e in self.results if not is_undone(e, event)]
        self.samples = [e for e in self.samples if not is_undone(e, event)]

    def _advance(self, stage: str, done: float, total: float, time: float, doing: str) -> None:
        self.stage, self.doing = stage, doing
        self.stages[stage].update(done, total, time)

    def _plan(self, event: events.ExpertsPlanned) -> None:
        self._planned, ready = event, event.total - event.missing
        self._advance("experts", ready, event.total, event.time, "")

    def _train(self, event: events.ExpertEpoch) -> None:
        curve = self.epochs.setdefault(event.expert, [])
        if curve and curve[-1].epoch >= event.epoch:  # given up before, and begun again
            curve.clear()
        curve.append(event)
        total = self._planned.total if self._planned else event.expert + 1
        ready = total - (self._planned.missing if self._planned else 0)
        began = sum(
            len(own) / max(1, own[-1].epochs) for k, own in self.epochs.items() if self._is_new(k)
        )
        self._advance(
            "experts",
            ready + began,
            total,
            event.time,
            f"expert {event.expert + 1}, epoch {event.epoch}/{event.epochs}",
        )

    def _is_new(self, expert: int) -> bool:
        """Whether it was trained since the experts were last planned."""
        return self._planned is None or self.epochs[expert][-1].time >= self._planned.time

    @property
    def _comparing(self) -> str:
        """The stage that networks are trained in just now: before the distillation, or after."""
        finished = self.matched and self.matched[-1].iteration >= self.matched[-1].iterations
        return "evaluate" if finished else "references"

    def _evaluate(self, event: events.EvaluationProgress) -> None:
        what = f"{event.set}, {event.network} {event.repeat + 1}/{event.repeats}"
        if event.set == "candidate":
            self.doing = f"scoring on held-out images, {event.epoch}/{event.epochs}"
            return
        share = (event.repeat + event.epoch / max(1, event.epochs)) / max(1, event.repeats)
        self._advance(self._comparing, event.row + share, event.rows, event.time, what)


def fold(told: Iterable[Event]) -> State:
    """The state after all these events."""
    state = State()
    for event in told:
        state.add(event)
    return state
