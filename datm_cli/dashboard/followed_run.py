"""A run that a screen follows: its directory, and the state by the events that were read so far."""

from __future__ import annotations

from typing import Any

from datm_cli.text.escapes import printable
from datm_engine.runs.directory import Run
from datm_engine.runs.event_log import EventReader
from datm_engine.runs.events import Event
from datm_engine.runs.state import RunState


class FollowedRun:
    """A run, and its state by the events that were read so far.

    error: why the events cannot be read, "" if they can.
    """

    def __init__(self, run: Run) -> None:
        self.run, self.state, self.error = run, RunState(), ""
        self._reader = EventReader(run.event_log)

    def read(self) -> bool:
        """Add new events. Returns whether there are any, or `error` has changed."""
        events, previous_error, self.error = [], self.error, ""
        try:
            events = self._reader.read()
        except OSError as error:
            self.error = f"{self.run.event_log} cannot be read: {error.strerror}"
        if self._reader.rewound:
            self.state = RunState()
        for event in events:
            self.state.add(printable_event(event))
        return bool(events) or self.error != previous_error


def printable_event(event: Event) -> Event:
    """The event with control characters in its texts escaped, once for all panels.

    Its path is opened, not shown.
    """
    unsafe: dict[str, Any] = {
        name: printable(value)
        for name, value in vars(event).items()
        if isinstance(value, str) and name != "path" and not value.isprintable()
    }
    return event.model_copy(update=unsafe)
