"""Writing a run's events, each at once and whole."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from io import FileIO
from typing import TYPE_CHECKING

from datm_engine.errors import DatmError, FileError
from datm_engine.files import cannot_write
from datm_engine.runs import event_json
from datm_engine.runs.events import Emit, Event, RunEnded

if TYPE_CHECKING:
    from datm_engine.runs.directory import Run


class Recorder:
    """Appends events to a run, each written at once as a line of its own; without a file, as on
    ranks that do not lead, it writes nothing."""

    def __init__(self, run: Run, file: FileIO | None = None) -> None:
        self._run, self._file = run, file

    def write(self, event: Event) -> Event:
        """The event as it was recorded, with its time. Raises FileError on a full disk."""
        stamped = replace(event, time=time.time())
        if self._file is None:
            return stamped
        end = self._file.seek(0, os.SEEK_END)
        try:
            _write_all(self._file, event_json.to_json(stamped).encode() + b"\n")
        except OSError as problem:
            with suppress(OSError):  # what was not written whole is not to be read
                self._file.truncate(end)
            raise cannot_write(self._run.event_log, problem) from None
        return stamped

    @contextmanager
    def recorded(self, show: Emit) -> Iterator[Emit]:
        """Yield an `emit` for a stage, which writes each event and then passes it to `show`.

        A failure within is recorded too, and its hint is made whole: what it would change is
        changed in a new run; without a hint, the run is to be resumed.
        """
        iteration = 0

        def emit(event: Event) -> None:
            nonlocal iteration
            iteration = getattr(event, "iteration", None) or iteration
            show(self.write(event))

        try:
            yield emit
        except Exception as problem:
            if isinstance(problem, DatmError):
                if problem.hint.startswith("--"):
                    problem.change = problem.hint
                    problem.hint = self._run.again(problem.change)
                problem.hint = problem.hint or self._run.resuming
                message, hint = problem.message, problem.hint
            else:
                message = f"{type(problem).__name__}: {problem}"
                hint = f"{self._run.resuming}   # once that is put right"
            failed = RunEnded(status="failed", iteration=iteration, message=message, hint=hint)
            with suppress(FileError):  # on a full disk the first problem is the one to tell
                self.write(failed)
            raise


def end_line(log: FileIO) -> None:
    """Where an earlier process was cut off within a line."""
    if log.seek(0, os.SEEK_END):
        log.seek(-1, os.SEEK_END)
        if log.read(1) != b"\n":
            _write_all(log, b"\n")


def _write_all(file: FileIO, content: bytes) -> None:
    """An unbuffered file may take a part only."""
    while content:
        content = content[file.write(content) :]
