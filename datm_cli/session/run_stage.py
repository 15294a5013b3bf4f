"""Running a stage: its events to a reader, and signals to flags that it asks for."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Protocol

from datm_engine.runs.events import Event


class Reader(Protocol):
    """Shows events as they come."""

    def read(self, event: Event) -> None: ...


@dataclass(frozen=True)
class Several:
    """One reader for several."""

    readers: Sequence[Reader]

    def read(self, event: Event) -> None:
        for reader in self.readers:
            reader.read(event)


@dataclass
class UntilLost:
    """A reader that shows on a terminal or into a pipe: when that goes away, the stage goes on, and
    what it states is in its run."""

    reader: Reader
    lost: bool = False

    def read(self, event: Event) -> None:
        if not self.lost:
            try:
                self.reader.read(event)
            except OSError:
                self.lost = True


class StopRequest:
    """`stop()` turns true at the first SIGINT, SIGTERM or SIGHUP (the terminal has gone), which is
    said on stderr unless `silent`, or when `file` is there; the second SIGINT aborts. `save_now()`
    is true once for every SIGUSR1, by which clusters announce that time is running out."""

    def __init__(self, *, silent: bool = False, file: Path | None = None) -> None:
        self.signal, self._silent, self._file = 0, silent, file
        self._save = False

    def __call__(self) -> bool:
        return self.signal != 0 or (self._file is not None and self._file.exists())

    def save_now(self) -> bool:
        asked, self._save = self._save, False
        return asked

    @property
    def exit_code(self) -> int:
        return 128 + self.signal if self.signal else 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._save = True
            self._tell(b"a checkpoint is written after this step")
            return
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        self._tell(b"stopping after this step; ctrl+c again to abort")

    def _tell(self, words: bytes) -> None:
        if not self._silent:  # straight to the stream: a console may be in the middle of a line
            with suppress(OSError):  # nobody is there to hear it
                os.write(2, b"\n" + words + b"\n")

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # as nohup has it
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
