"""A rank that waits for one that is gone may not come back to hear a signal; a thread hears it."""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

PATIENCE = 25.0  # torchrun and clusters kill 30 s after SIGTERM


@contextmanager
def ended_if_stuck(
    tell: Callable[[], None], stop_file: Path, patience: float = PATIENCE
) -> Iterator[None]:
    """If what is within has not ended so many seconds after a SIGTERM, `tell()` and end the
    process. Not where `stop_file` is there: who asks by that has time."""
    hearing, speaking = socket.socketpair()
    speaking.setblocking(False)
    over = threading.Event()

    def watch() -> None:
        while heard := hearing.recv(1):
            asked = heard[0] == signal.SIGTERM
            if asked and not over.wait(patience) and not stop_file.exists():
                tell()
                os._exit(128 + signal.SIGTERM)

    before = signal.set_wakeup_fd(speaking.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, name="stuck", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        speaking.close()
        thread.join()
        hearing.close()
