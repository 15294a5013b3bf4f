"""What is wrong with a run's files that it can go on without, so that it is told all the same."""

from __future__ import annotations

from safetensors import SafetensorError

from datm_engine.files import Unreadable
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.event_tail import EventTail
from datm_engine.runs.events import Matched
from datm_engine.tensors import read_tensors


def losses(run: Run, done: int) -> list[str]:
    """Of what was told and pictured of the `done` iterations: a sentence for each loss. Raises
    RunError for events that cannot be read."""
    told = run.events()
    tail = EventTail(run.event_log)
    tail.read()
    found = []
    if tail.unreadable:
        lines = "1 line" if tail.unreadable == 1 else f"{tail.unreadable:,} lines"
        why = "damaged, or cut short when a process died"
        found.append(f"{run.event_log.name}: {lines} passed over ({why})")
    known = {event.iteration for event in told if isinstance(event, Matched)}
    if missing := done - len(known & set(range(1, done + 1))):
        kept = "what they learned is in the checkpoint"
        lost = f"{missing:,} of {done:,} iterations"
        found.append(f"{run.event_log.name} no longer tells of {lost}; {kept}")
    for path in sorted(run.samples.glob("*.safetensors")):
        try:
            read_tensors(path)
        except Unreadable as problem:
            found.append(problem.message)
        except (SafetensorError, OSError, RuntimeError, TypeError, ValueError) as problem:
            found.append(f"{path} is damaged: {problem}; to see the others: {command('rm', path)}")
    return found
