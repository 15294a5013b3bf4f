"""Which facts of a run still hold, where it went over some of them again."""

from __future__ import annotations

from collections.abc import Iterable

from datm_engine.runs.events import (
    CandidateScored,
    Evaluated,
    EvaluationChanged,
    Event,
    Matched,
    RunStarted,
    SampleSaved,
    SettingDerived,
)


def still_true(told: Iterable[Event]) -> list[Event]:
    """In order, those that no later one has undone; of several that tell of the same, the last."""
    kept: list[Event] = []
    for event in told:
        if isinstance(event, RunStarted | EvaluationChanged):
            kept = [e for e in kept if not is_undone(e, event)]
        kept.append(event)
    latest = {_telling(event): event for event in kept}
    return [event for event in kept if latest[_telling(event)] is event]


def _telling(event: Event) -> object:
    """What the event tells of: of several that tell of the same, the last one counts. A candidate
    is told twice where its run was killed before it could be noted as scored."""
    match event:
        case Matched():
            return "iteration", event.iteration
        case CandidateScored():
            return "candidate", event.part, event.iteration
        case SampleSaved():
            return event.path, event.iteration
        case SettingDerived():
            return "setting", event.key
    return id(event)


def is_undone(event: Event, later: RunStarted | EvaluationChanged) -> bool:
    """Whether a fact no longer holds: where a run has gone on from its checkpoint, the iterations
    after it are repeated, and so is what depends on them."""
    if isinstance(later, EvaluationChanged):
        return isinstance(event, Evaluated)
    if isinstance(event, Evaluated):
        return event.set.startswith("distilled")
    if isinstance(event, Matched | CandidateScored | SampleSaved):
        return event.iteration > later.resumed_at
    return False
