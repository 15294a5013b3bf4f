"""Locks by which several processes share the training of the same experts.

A process that trains an expert locks the file `expert-0000.lock` beside it. The operating system
releases the lock when the process ends, however it ends; then another process trains the expert.
"""

from __future__ import annotations

import fcntl
import os
import platform
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from datm_engine.experts.trajectories import ExpertSet
from datm_engine.files import cannot_write
from datm_engine.runs.events import Emit, Noted

POLL_SECONDS = 0.5
NOTE_SECONDS = 300.0  # between notes that this process is still waiting


@dataclass(frozen=True)
class Claim:
    """An expert with its lock, for this process to train; or one without a lock, which another
    process has trained."""

    expert: int
    experts: ExpertSet
    lock: BinaryIO | None = None

    @property
    def is_trained(self) -> bool:
        return self.lock is None

    def __enter__(self) -> Claim:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self.lock is None:
            return
        # Only once the expert exists: if the lock file were deleted before, one process could hold
        # the lock of the deleted file, and another one that of a new file.
        if self.experts.path(self.expert).exists():
            with suppress(OSError):  # an empty file that stays is harmless
                lock_path(self.experts, self.expert).unlink(missing_ok=True)
        self.lock.close()


def lock_path(experts: ExpertSet, expert: int) -> Path:
    return experts.path(expert).with_suffix(".lock")


def claim_next(
    experts: ExpertSet,
    pending: Sequence[int],
    total: int,
    check_stop: Callable[[], None],
    *,
    emit: Emit,
) -> Claim:
    """Claim the first of the `pending` experts, of `total`, that no other process is training: one
    to train, or one that another process has trained meanwhile. While there is none, wait, and call
    `check_stop`. Raises FileError for a damaged expert, and if the lock cannot be written.
    """
    began = noted = time.monotonic()
    while True:
        for expert in pending:
            if (claim := _claim(experts, expert)) is not None:
                return claim
        check_stop()
        now = time.monotonic()
        if began == noted or now - noted >= NOTE_SECONDS:
            noted = now
            emit(Noted(text=_waiting(experts, pending, total, now - began)))
        time.sleep(POLL_SECONDS)


def _claim(experts: ExpertSet, expert: int) -> Claim | None:
    """None if another process is training it."""
    path = lock_path(experts, expert)
    if not experts.path(expert).exists():
        try:
            lock = path.open("a+b", buffering=0)
        except OSError as problem:
            raise cannot_write(path, problem) from None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Another process may have saved the expert before it released the lock.
            if not experts.path(expert).exists():
                lock.truncate(0)
                lock.write(f"process {os.getpid()} on {platform.node()}".encode())
                return Claim(expert, experts, lock)
        except BlockingIOError:
            lock.close()
            return None
        except OSError as problem:
            lock.close()
            raise cannot_write(path, problem) from None
        lock.close()
    experts.verify(expert)
    return Claim(expert, experts)


def _waiting(experts: ExpertSet, pending: Sequence[int], total: int, seconds: float) -> str:
    numbers = ", ".join(str(expert + 1) for expert in pending)
    what = f"expert{'s' if len(pending) > 1 else ''} {numbers} of {total}"
    holders = sorted({_holder(lock_path(experts, expert)) for expert in pending} - {""})
    by = f"another process trains ({', '.join(holders)})" if holders else "another process trains"
    lasting = f", for {seconds / 60:.0f} minutes so far" if seconds >= NOTE_SECONDS else ""
    return f"waiting for {what}, which {by}{lasting}"


def _holder(path: Path) -> str:
    """The process that holds the lock, as it wrote it into the file."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")[:100]
    except OSError:  # deleted meanwhile: its expert is trained
        return ""
