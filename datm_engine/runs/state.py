"""Fold a run's events into its state. Nothing else counts over events.

    state = RunState()
    for event in events:
        state.add(event)

The same events give the same state, in whatever batches they arrive. A run that resumes from a
checkpoint repeats the iterations after it, so events of these iterations are dropped.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from datm_engine.runs import events
from datm_engine.runs.events import Event
from datm_engine.runs.trials import Trials

STAGES = ("dataset", "experts", "calibration", "distill", "evaluate")  # in order
TIMED_STAGES = ("dataset", "experts", "calibration", "distill", "selection", "evaluate")
LOG_EVENTS = 1000  # kept for the log
RECENT = 50  # iterations that the current speed is measured over

# Reported while a task runs.
_PROGRESS = (
    events.WaitBegan,
    events.DatasetProgress,
    events.DifficultyProgress,
    events.ExpertEpoch,
    events.MeasurementProgress,
    events.SelectionProgress,
    events.EvaluationProgress,
)
_NOT_LOGGED = (
    *_PROGRESS,
    events.SampleSaved,
    events.CheckpointSaved,
    events.EvaluationChanged,
    events.RunEnded,
    events.TrialBegan,
    events.TrialScored,
    events.TrialEnded,
)

# What people are to know of a run, however long it takes.
ADVICE = (events.Noted, events.SettingDerived, events.ClassesFilledUp, events.RunStarted)


@dataclass
class StageProgress:
    """`done` of `total` units of a stage. Times are seconds since the epoch.

    began: time of the first report, when `done_before` units were done. updated: of the last one.
    """

    done: float = 0.0
    total: float = 0.0
    began: float = 0.0
    updated: float = 0.0
    done_before: float = 0.0

    def update(self, done: float, total: float, time: float) -> None:
        if not self.began:
            self.began, self.done_before = time, done
        self.done, self.total, self.updated = done, max(total, done), time

    @property
    def seconds_left(self) -> float | None:
        """Estimated from the mean speed so far. None until something is done."""
        gained = self.done - self.done_before
        if gained <= 0 or self.updated <= self.began:
            return None
        return (self.updated - self.began) / gained * (self.total - self.done)


@dataclass
class RunState:
    """What the events of a run, or of a tune, say so far.

    matched: one event per iteration, in order. current: the latest progress event of the task that
    runs, None between tasks. log: events worth a line, the latest LOG_EVENTS of them.
    seconds_before: time of the processes before the current one.
    """

    started: events.RunStarted | None = None
    ended: events.RunEnded | None = None
    dataset: events.DatasetReady | None = None
    stage: str = STAGES[0]
    stages: dict[str, StageProgress] = field(
        default_factory=lambda: {s: StageProgress() for s in STAGES}
    )
    current: Event | None = None
    epochs: dict[int, list[events.ExpertEpoch]] = field(default_factory=dict)
    trained: dict[int, events.ExpertTrained] = field(default_factory=dict)
    planned: events.ExpertsPlanned | None = None
    matched: list[events.Matched] = field(default_factory=list)
    candidates: list[events.CandidateScored] = field(default_factory=list)
    results: list[events.Evaluated] = field(default_factory=list)
    samples: list[events.SampleSaved] = field(default_factory=list)
    trials: Trials = field(default_factory=Trials)
    log: list[Event] = field(default_factory=list)
    first_started: float = 0.0  # when the first process started
    seconds_before: float = 0.0
    last_time: float = 0.0
    _skip_reasons: set[events.SkipReason] = field(default_factory=set)
    _previous_time: float | None = None  # of the event that the next one is timed from
    # Events, the stage that each is timed for, and the seconds since the one before.
    _timed: list[tuple[Event, str, float]] = field(default_factory=list)

    def add(self, event: Event) -> None:
        """Add the next event."""
        if isinstance(event, events.RunStarted):
            self._start(event)
        self._count_seconds(event)
        if isinstance(self.current, events.WaitBegan):  # whatever comes next ends it
            self.current = None
        self.last_time = max(self.last_time, event.time)
        match event:
            case events.EvaluationChanged():
                self.results = []
            case events.DatasetProgress():
                self._advance("dataset", event.done, event.total, event)
            case events.DatasetReady():
                self.dataset = event
                self._advance("dataset", 1, 1, event)
            case events.ExpertsPlanned():
                self._plan_experts(event)
            case events.WaitBegan() | events.DifficultyProgress():
                self.current = event
            case events.EvaluationProgress(set="candidate"):  # within the stage of distillation
                self.current = event
            case events.MeasurementProgress():
                self.stage, self.current = "calibration", event
            case events.ExpertEpoch():
                self._add_expert_epoch(event)
            case events.ExpertTrained():
                self.trained[event.expert] = event
            case events.Matched():
                if self.matched and self.matched[-1].iteration >= event.iteration:
                    # The run resumed, but its RunStarted is damaged.
                    self._undo(event.iteration - 1)
                self.matched.append(event)
                self._advance("distill", event.iteration, event.iterations, event)
            case events.CandidateScored():
                # A run that was killed before it saved that score repeats it.
                others = [e for e in self.candidates if e.iteration != event.iteration]
                self.candidates = [*others, event]
                self.current = None
            case events.SelectionProgress():
                self._advance(self._comparing, event.row, event.rows, event)
            case events.EvaluationProgress():
                # Each row is one unit of the stage, and its repeats and epochs are fractions.
                epochs, repeats = max(1, event.epochs), max(1, event.repeats)
                done = event.row + (event.repeat + event.epoch / epochs) / repeats
                self._advance(self._comparing, done, event.rows, event)
            case events.Evaluated():
                self._add_result(event)
            case events.SampleSaved():
                # The preview is saved again and again under one name.
                self.samples = [e for e in self.samples if e.path != event.path]
                self.samples.append(event)
            case events.RunEnded():
                self.ended, self.current = event, None
            case events.TrialBegan() | events.TrialScored() | events.TrialEnded():
                self.trials.add(event)
        if is_log_event(event, self._skip_reasons):
            self._log(event)

    @property
    def status(self) -> str:
        """The status if no process is writing the run: "new", "done", "stopped", "failed" or, if it
        started and did not record its end, "crashed"."""
        if self.ended:
            return self.ended.status
        return "crashed" if self.started else "new"

    @property
    def iteration(self) -> int:
        """Iterations done."""
        return self.matched[-1].iteration if self.matched else 0

    @property
    def skipped(self) -> int:
        """Iterations that took no step."""
        return self.matched[-1].skipped if self.matched else 0

    @property
    def best_candidate(self) -> events.CandidateScored | None:
        return max(self.candidates, key=lambda event: event.accuracy, default=None)

    @property
    def seconds_per_iteration(self) -> float | None:
        """Median over all iterations."""
        return statistics.median(e.seconds for e in self.matched) if self.matched else None

    @property
    def recent_seconds(self) -> float | None:
        """Median length of the latest iterations, without the first, which may compile."""
        recent = self.matched[1:][-RECENT:]
        return statistics.median_high(e.seconds for e in recent) if recent else None

    @property
    def memory(self) -> int | None:
        """Peak bytes of a process of the run, of the GPU where there is one. None if unknown."""
        return max((event.memory for event in self.matched), default=0) or None

    @property
    def seconds(self) -> dict[str, float]:
        """Time spent in each of TIMED_STAGES by all processes of the run."""
        spent = dict.fromkeys(TIMED_STAGES, 0.0)
        for _, stage, seconds in self._timed:
            spent[stage] += seconds
        return spent

    @property
    def total_seconds(self) -> float:
        """From each start to the last event of its process, summed over processes."""
        if self.started is None:
            return 0.0
        return self.seconds_before + max(0.0, self.last_time - self.started.time)

    def seconds_left(self, stage: str) -> float | None:
        """Of this stage alone."""
        progress = self.stages[stage]
        if stage == "distill" and self.recent_seconds is not None:
            # The mean speed includes the scoring of candidates, the recent iterations do not.
            left = self.recent_seconds * (progress.total - progress.done)
            return max(left, progress.seconds_left or 0.0)
        return progress.seconds_left

    @property
    def expert_accuracies(self) -> list[float]:
        """Percent of held-out images that each expert classifies correctly, where images are held
        out: what training on all images reaches, before it is measured on test images."""
        known = [event.validation_accuracy for event in self.trained.values()]
        return [accuracy for accuracy in known if accuracy is not None]

    def references(self, part: str) -> dict[str, float]:
        """Percent that each selection of real images ("random", "full", …) reaches with the first
        network, on the part of the data ("validation", "test") that candidates are scored on."""
        accuracies: dict[str, float] = {}
        for row in self.results:  # rows of the first network come first
            accuracy = row.accuracy_mean if part == "test" else row.validation_mean
            if is_reference(row) and accuracy is not None:
                accuracies.setdefault(row.set, accuracy)
        return accuracies

    def as_json(self) -> dict[str, Any]:
        """Candidates and results in full; of the iterations only their number."""
        return {
            "iterations": self.matched[-1].iterations if self.matched else None,
            "iterations_done": self.iteration,
            "iterations_skipped": self.skipped,
            "candidates": [event.model_dump() for event in self.candidates],
            "results": [event.model_dump() for event in self.results],
        }

    def _start(self, event: events.RunStarted) -> None:
        self.seconds_before = self.total_seconds
        self.first_started = self.first_started or event.time
        self.started, self.ended, self.current = event, None, None
        # A resumed run passes through all stages again, fast where everything is done.
        self.stage, self.stages = STAGES[0], {s: StageProgress() for s in STAGES}
        self._undo(event.resumed_at)

    def _undo(self, resumed_at: int) -> None:
        """Drop the events that a run which resumes after this iteration repeats."""
        lists: list[list[Any]] = [self.matched, self.candidates, self.results, self.samples]
        for recorded in lists:
            recorded[:] = [e for e in recorded if not is_undone(e, resumed_at)]
        self._timed = [timed for timed in self._timed if not is_undone(timed[0], resumed_at)]

    def _count_seconds(self, event: Event) -> None:
        """Count the time since the previous event for the stage that reports this one. Time between
        two processes is not counted."""
        if isinstance(event, events.RunStarted):
            self._previous_time = event.time
        elif isinstance(event, events.EvaluationChanged):
            self._previous_time = None
        elif self._previous_time is not None and not isinstance(
            event, (events.Noted, events.RunEnded, events.WaitBegan)
        ):
            stage = _timed_stage(event, self._comparing)
            self._timed.append((event, stage, max(0.0, event.time - self._previous_time)))
            self._previous_time = event.time

    def _log(self, event: Event) -> None:
        self.log.append(event)
        if len(self.log) > LOG_EVENTS:
            # Advice stays, and the oldest of the other lines goes.
            oldest = (k for k, e in enumerate(self.log) if not isinstance(e, ADVICE))
            del self.log[next(oldest, 0)]

    def _advance(self, stage: str, done: float, total: float, event: Event) -> None:
        self.stage = stage
        self.current = event if isinstance(event, _PROGRESS) else None
        self.stages[stage].update(done, total, event.time)

    def _plan_experts(self, event: events.ExpertsPlanned) -> None:
        self.planned = event
        self._advance("experts", event.total - event.missing, event.total, event)
        self.stages["experts"].began = 0.0  # timed from the first epoch, which may compile

    def _add_expert_epoch(self, event: events.ExpertEpoch) -> None:
        curve = self.epochs.setdefault(event.expert, [])
        if curve and curve[-1].epoch >= event.epoch:  # the expert was interrupted, and restarts
            curve.clear()
        curve.append(event)
        planned = self.planned
        total = planned.total if planned else event.expert + 1
        done = total - (planned.missing if planned else 0)
        # Experts of an earlier plan are among those that are done.
        new = [e for e in self.epochs.values() if planned is None or e[-1].time >= planned.time]
        trained = sum(len(curve) / max(1, curve[-1].epochs) for curve in new)
        self._advance("experts", done + trained, total, event)

    def _add_result(self, event: events.Evaluated) -> None:
        rows = {_row(e): e for e in self.results}
        rows[_row(event)] = event  # in the position of an earlier result of the same
        # Distilled sets first: a resumed run measures them again, after rows of real images.
        self.results = sorted(rows.values(), key=is_reference)
        if self.stage in ("calibration", "evaluate"):
            # The progress event of the last epoch may be missing.
            progress = self.stages[self.stage]
            progress.done = math.ceil(progress.done)

    @property
    def _comparing(self) -> str:
        """The stage that evaluates networks now: before the distillation, or after it."""
        finished = self.matched and self.matched[-1].iteration >= self.matched[-1].iterations
        return "evaluate" if finished else "calibration"


def fold(recorded: Iterable[Event]) -> RunState:
    """The state after all these events."""
    state = RunState()
    for event in recorded:
        state.add(event)
    return state


def is_reference(row: events.Evaluated) -> bool:
    """Whether the networks of this row were trained on real images."""
    return not row.set.startswith("distilled")


def is_undone(event: Event, resumed_at: int) -> bool:
    """Whether a run that resumes after iteration `resumed_at` repeats what this event reports."""
    if isinstance(event, events.Evaluated):
        return not is_reference(event)
    kinds = (events.Matched, events.CandidateScored, events.SampleSaved)
    return isinstance(event, kinds) and event.iteration > resumed_at


def is_log_event(event: Event, skip_reasons: set[events.SkipReason]) -> bool:
    """Whether the log has a line for the event. Of skipped iterations it has the first for each
    reason; the reason is added to `skip_reasons`."""
    if isinstance(event, events.Matched):
        if event.skip_reason is None or event.skip_reason in skip_reasons:
            return False
        skip_reasons.add(event.skip_reason)
        return True
    return not isinstance(event, _NOT_LOGGED)


def _row(event: events.Evaluated) -> tuple[object, ...]:
    """The key of a result. A later result with the same key replaces it."""
    return event.set, event.network, event.images, event.iteration


def _timed_stage(event: Event, comparing: str) -> str:
    """comparing: the stage that networks which are evaluated belong to."""
    match event:
        case events.DatasetProgress() | events.DatasetReady():
            return "dataset"
        case (
            events.ExpertsPlanned()
            | events.DifficultyProgress()
            | events.ExpertEpoch()
            | events.ExpertTrained()
        ):
            return "experts"
        case events.CandidateScored() | events.EvaluationProgress(set="candidate"):
            return "selection"
        case events.MeasurementProgress() | events.SettingDerived():
            return "calibration"
        case events.SelectionProgress() | events.EvaluationProgress() | events.Evaluated():
            return comparing
    return "distill"
