"""The event log of a run: one JSON object a line. Writing, reading and following it."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import Field, asdict, fields, replace
from io import FileIO
from pathlib import Path
from typing import Any

from datm_engine.errors import FileError
from datm_engine.files import cannot_write, parse_json
from datm_engine.runs.events import KINDS, Emit, Event, RunEnded

_SCALARS = {"bool": (bool,), "int": (int,), "float": (int, float), "str": (str,)}
_SCALARS["SkipReason"] = (str,)  # its constructor raises ValueError for another string


def to_json(event: Event) -> str:
    """One line without its newline, the reverse of `from_json`. Raises ValueError for NaN."""
    content = {"event": type(event).__name__, **asdict(event)}
    text = json.dumps(content, allow_nan=False, ensure_ascii=False)
    # A path may hold bytes that are not UTF-8, as lone surrogates: written as JSON escapes.
    return text.encode(errors="backslashreplace").decode()


def from_json(line: str) -> Event:
    """The event of a line. Raises ValueError for anything else, also if a field has the wrong type
    or a number is not finite."""
    content = parse_json(line)
    kind = KINDS.get(str(content.pop("event", None))) if isinstance(content, dict) else None
    if kind is None:
        raise ValueError(f"not an event: {line[:80]}")
    for field in fields(kind):
        if field.name in content and not _has_type(content[field.name], field):
            raise ValueError(f"{kind.__name__}: {field.name} is {content[field.name]!r}")
    try:
        return kind(**content)
    except TypeError as problem:  # a field is missing or unknown
        raise ValueError(str(problem)) from problem


def _has_type(value: Any, field: Field[Any]) -> bool:
    """Whether a value has the type that the field is annotated with, and is finite."""
    kind, _, optional = str(field.type).partition(" | ")
    if value is None:
        return bool(optional)
    if not isinstance(value, _SCALARS[kind]) or isinstance(value, bool) != (kind == "bool"):
        return False
    if isinstance(value, int):
        return abs(value) < 2**63  # larger integers cannot be converted to float or tensors
    return not isinstance(value, float) or math.isfinite(value)


class EventWriter:
    """Appends events to a log, each at once and whole.

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
        if file is not None:
            _end_line(file)

    def write(self, event: Event) -> Event:
        """Record an event; it is returned with its time. Raises FileError on a full disk."""
        event = replace(event, time=time.time())
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


def _end_line(log: FileIO) -> None:
    """End a line that a killed process left unfinished."""
    if log.seek(0, os.SEEK_END):
        log.seek(-1, os.SEEK_END)
        if log.read(1) != b"\n":
            _write_all(log, b"\n")


def _write_all(file: FileIO, content: bytes) -> None:
    while content:  # an unbuffered write may take only a part
        content = content[file.write(content) :]
