"""Find damage in a run's files that does not prevent it from resuming, to report it."""

from __future__ import annotations

from datm_engine.files import Unreadable
from datm_engine.formatting import plural
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.state import fold
from datm_engine.tensors import DIGEST, UNREADABLE, read_tensors


def problems(run: Run, iterations: int) -> list[str]:
    """A sentence for each damage to the log of `iterations` iterations and to sample pictures.
    Raises RunError if the log cannot be read."""
    events, unreadable = run.read_log()
    messages, log = [], run.event_log.name
    if unreadable:
        lines = plural(unreadable, "line")
        messages.append(f"{log}: {lines} ignored (cut off when a process died, or damaged)")
    logged = sum(event.iteration <= iterations for event in fold(events).matched)
    if missing := iterations - logged:
        lost = f"{missing:,} of {plural(iterations, 'iteration')}"
        messages.append(f"{log} lacks {lost}; what they learned is in the checkpoint")
    for path in sorted(run.samples.glob("*.safetensors")):
        try:
            if DIGEST not in read_tensors(path)[1]:
                raise ValueError("it has no digest, which datm writes")
        except Unreadable as problem:
            messages.append(problem.message)
        except UNREADABLE as problem:
            messages.append(
                f"{path} is damaged: {problem}; to see the others: {command('rm', path)}"
            )
    return messages
