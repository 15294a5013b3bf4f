"""Following a run's events as they are written, by this process or any other."""

from __future__ import annotations

from pathlib import Path

from datm_engine.runs import event_json
from datm_engine.runs.events import Event


class EventTail:
    """Reads what has been added to an events file since the last time.

    A line that is not finished yet is kept until it is; one that is no event, or is damaged, is
    passed over and counted in `unreadable`. If the file has become shorter it is read from its
    beginning again, and `rewound` is true after that `read`.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rewound = False
        self.unreadable = 0
        self._offset = 0
        self._partial = b""

    def read(self) -> list[Event]:
        """New events, oldest first; none while there is no file. Raises OSError."""
        self.rewound = False
        try:
            with self.path.open("rb") as file:
                size = file.seek(0, 2)
                if size < self._offset:
                    self._offset, self._partial, self.rewound = 0, b"", True
                    self.unreadable = 0
                file.seek(self._offset)
                added = file.read()
        except FileNotFoundError:
            return []
        self._offset += len(added)
        *whole, self._partial = (self._partial + added).split(b"\n")
        read = []
        for line in whole:
            try:
                read.append(event_json.from_json(line.decode(errors="replace")))
            except ValueError:  # cut short when a process died, and closed by the next one
                self.unreadable += bool(line.strip())
        return read
