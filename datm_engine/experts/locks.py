"""Locks by which several processes share the training of the same experts.

A process that trains an expert locks the file `expert-0000.lock` beside it. The operating system
releases the lock when the process ends, however it ends; then another process trains the expert.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from datm_engine.experts.trajectories import ExpertSet
from datm_engine.files import cannot_write
from datm_engine.runs.events import Emit, Noted

POLL_SECONDS = 0.5
NOTE_SECONDS = 300.0  # between notes that this process is still waiting


@dataclass(frozen=True)
class Claim:
    """An expert for this process to train, or one that another process has trained."""

    expert: int
    is_trained: bool


def lock_path(experts: ExpertSet, expert: int) -> Path:
    return experts.path(expert).with_suffix(".lock")


@contextmanager
def claim_next(
    experts: ExpertSet,
    pending: Sequence[int],
    total: int,
    check_stop: Callable[[], None],
    *,
    emit: Emit,
) -> Iterator[Claim]:
    """Hold the lock of the first of the `pending` experts, of `total`, that no other process is
    training.

    While there is none, wait, and call `check_stop`. Raises FileError for a damaged expert, and if
    the lock cannot be written.
    """
    began = noted = time.monotonic()
    while True:
        for expert in pending:
            if (lock := _lock(lock_path(experts, expert))) is None:
                continue
            with lock:
                # Another process may have saved the expert before it released the lock.
                is_trained = experts.path(expert).exists()
                if is_trained:
                    experts.verify(expert)
                yield Claim(expert, is_trained)
                # Only now that the expert exists: if the lock file were deleted before, one process
                # could hold the lock of the deleted file, and another one that of a new file.
                with suppress(OSError):  # an empty file that stays is harmless
                    lock_path(experts, expert).unlink(missing_ok=True)
            return
        check_stop()
        now = time.monotonic()
        if began == noted or now - noted >= NOTE_SECONDS:
            noted = now
            emit(Noted(text=_waiting(experts, pending, total, now - began)))
        time.sleep(POLL_SECONDS)


def _lock(path: Path) -> BinaryIO | None:
    """The file, locked, with the name of this process in it. None if another process locks it."""
    lock = None
    try:
        lock = path.open("a+b", buffering=0)
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        lock.truncate(0)
        lock.write(f"process {os.getpid()} on {platform.node()}".encode())
        return lock
    except OSError as problem:
        if lock is not None:
            lock.close()
        if isinstance(problem, BlockingIOError):
            return None
        raise cannot_write(path, problem) from None


def _waiting(experts: ExpertSet, pending: Sequence[int], total: int, seconds: float) -> str:
    numbers = ", ".join(str(expert + 1) for expert in pending)
    what = f"expert{'s' if len(pending) > 1 else ''} {numbers} of {total}"
    holders = set()
    for expert in pending:
        with suppress(OSError):  # deleted meanwhile: its expert is trained
            text = lock_path(experts, expert).read_text(encoding="utf-8", errors="replace")
            holders.add(text[:100])
    names = ", ".join(sorted(holders - {""}))
    by = f"another process trains ({names})" if names else "another process trains"
    lasting = f", for {seconds / 60:.0f} minutes so far" if seconds >= NOTE_SECONDS else ""
    return f"waiting for {what}, which {by}{lasting}"
