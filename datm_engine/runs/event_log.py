"""The event log of a run: one JSON object a line. Writing, reading and following it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path

from datm_engine.errors import FileError
from datm_engine.files import cannot_write, parse_json
from datm_engine.runs.events import KINDS, Emit, Event, RunEnded


def to_json(event: Event) -> str:
    """One line without its newline, the reverse of `from_json`."""
    text = json.dumps({"event": type(event).__name__, **event.model_dump()}, ensure_ascii=False)
    # A path may hold bytes that are not UTF-8, as lone surrogates: written as JSON escapes.
    return text.encode(errors="backslashreplace").decode()


def from_json(line: str) -> Event:
    """The event of a line. Raises ValueError for anything else."""
    content = parse_json(line)
    kind = KINDS.get(str(content.pop("event", None))) if isinstance(content, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]}")
    if any(isinstance(value, int) and abs(value) >= 2**63 for value in content.values()):
        raise ValueError("a number is too large")  # to be converted to float or a tensor
    return kind.model_validate(content)


class EventWriter:
    """Appends events to a log, each as one whole line.

    `file`: the log, opened without a buffer; None writes nothing, as on ranks other than the first.
    `describe_failure`: the message and the hint that an exception is recorded with.
    """

    def __init__(
        self,
        path: Path,
        file: FileIO | None,
        describe_failure: Callable[[Exception], tuple[str, str]],
    ) -> None:
        self._path, self._file, self._describe_failure = path, file, describe_failure
        self._iteration = 0
        if file is not None and file.seek(0, os.SEEK_END):
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b"\n":  # end a line that a killed process left unfinished
                _write_all(file, b"\n")

    def write(self, event: Event) -> Event:
        """Record an event; it is returned with its time. Raises FileError on a full disk."""
        event = event.model_copy(update={"time": time.time()})
        self._iteration = getattr(event, "iteration", None) or self._iteration
        if self._file is not None:
            end = self._file.seek(0, os.SEEK_END)  # the length before this line
            try:
                _write_all(self._file, to_json(event).encode() + b"\n")
            except OSError as problem:
                with suppress(OSError):  # remove the part of the line that was written
                    self._file.truncate(end)
                raise cannot_write(self._path, problem) from None
        return event

    @contextmanager
    def recorded(self, show: Emit) -> Iterator[Emit]:
        """Yield an `emit` for a stage, which records each event and then passes it to `show`.

        An exception is recorded as the end of the run, and raised again.
        """

        def emit(event: Event) -> None:
            show(self.write(event))

        try:
            yield emit
        except Exception as problem:
            message, hint = self._describe_failure(problem)
            failed = RunEnded(
                status="failed", iteration=self._iteration, message=message, hint=hint
            )
            with suppress(FileError):  # on a full disk, the first error is the one to report
                self.write(failed)
            raise


class EventReader:
    """Reads what was added to an event log since the last `read`.

    unreadable: complete lines that are no events: cut short when a process was killed and ended by
    the next one, or damaged. rewound: whether the log became shorter before the last `read`, which
    then started at its beginning.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rewound = False
        self.unreadable = 0
        self._offset = 0
        self._partial = b""  # the beginning of a line whose end is not written yet

    def read(self) -> list[Event]:
        """New events, oldest first; none if there is no log. Raises OSError."""
        self.rewound = False
        try:
            with self.path.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._offset:  # another run replaced this one
                    self._offset, self._partial, self.unreadable = 0, b"", 0
                    self.rewound = True
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(added)
        # What follows the last newline is empty, or a line that is being written.
        *lines, self._partial = (self._partial + added).split(b"\n")
        events = []
        for line in lines:
            try:
                events.append(from_json(line.decode(errors="replace")))
            except ValueError:
                self.unreadable += bool(line.strip())
        return events


def _write_all(file: FileIO, content: bytes) -> None:
    while content:  # an unbuffered write may take only a part
        content = content[file.write(content) :]
