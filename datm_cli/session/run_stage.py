"""What a stage is given on the command line: a display of its events, and signals as requests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from datm_engine.runs.events import Emit, Event


def until_lost(show: Emit) -> Emit:
    """Pass events to `show` until its terminal or pipe is closed. The stage then continues, and its
    run records the events."""
    is_lost = False

    def emit(event: Event) -> None:
        nonlocal is_lost
        if not is_lost:
            try:
                show(event)
            except OSError:
                is_lost = True

    return emit


class StopRequest:
    """Signals as requests to a stage.

    Calling it returns True after the first SIGINT, SIGTERM or SIGHUP (a closed terminal), which is
    reported on stderr unless `silent`, or once `file` exists. A second SIGINT aborts.
    `save_now()` returns True once after each SIGUSR1, which clusters send before time runs out.
    """

    def __init__(self, *, silent: bool = False, file: Path | None = None) -> None:
        self.signal, self._silent, self._file = 0, silent, file
        self._save = False

    def __call__(self) -> bool:
        return self.signal != 0 or (self._file is not None and self._file.exists())

    def save_now(self) -> bool:
        requested, self._save = self._save, False
        return requested

    @property
    def exit_code(self) -> int:
        return 128 + self.signal if self.signal else 0

    def _receive(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGUSR1:
            self._save = True
            self._report(b"a checkpoint is written after this step")
            return
        if self.signal and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.signal = number
        self._report(b"stopping after this step; ctrl+c again to abort")

    def _report(self, text: bytes) -> None:
        if not self._silent:
            with suppress(OSError):  # stderr is closed
                # Not through the console, which a signal may interrupt within a line.
                os.write(2, b"\n" + text + b"\n")

    @contextmanager
    def listening(self) -> Iterator[StopRequest]:
        numbers = [signal.SIGINT, signal.SIGTERM, signal.SIGUSR1]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:  # which nohup sets
            numbers.append(signal.SIGHUP)
        before = {number: signal.signal(number, self._receive) for number in numbers}
        try:
            yield self
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)
