"""End a rank that does not react to SIGTERM, because it waits for a rank that has ended.

Python runs signal handlers in the main thread, which may be inside a collective operation. So a
thread of its own reads the signals, from the socket that Python writes their numbers to.
"""

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
    report: Callable[[], None], stop_file: Path, patience: float = PATIENCE
) -> Iterator[None]:
    """If the block has not ended `patience` seconds after a SIGTERM, call `report` and end the
    process; but not if `stop_file` exists, as whoever created it can wait."""
    reading, writing = socket.socketpair()
    writing.setblocking(False)  # required by set_wakeup_fd
    over = threading.Event()

    def watch() -> None:
        while number := reading.recv(1):  # one byte for each signal
            is_term = number[0] == signal.SIGTERM
            if is_term and not over.wait(patience) and not stop_file.exists():
                report()
                os._exit(128 + signal.SIGTERM)

    before = signal.set_wakeup_fd(writing.fileno(), warn_on_full_buffer=False)
    thread = threading.Thread(target=watch, name="watchdog", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(before)
        writing.close()  # ends the thread
        thread.join()
        reading.close()
