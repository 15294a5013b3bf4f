"""The process that writes a run: which one it is, on which machine, and whether it is alive."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path

from pydantic.dataclasses import dataclass

from datm_engine.files import parse_json, save_text, validated

BEAT_SECONDS = 10.0  # between heartbeats
STALE_SECONDS = 60.0  # without a heartbeat, until a process on another machine counts as lost


@dataclass(frozen=True)
class Process:
    """`started` distinguishes a process from a later one with the same number."""

    host: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(platform.node(), pid, _started(pid))

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """The process that a file names. None if the file is missing or incomplete."""
        try:
            return validated(cls, parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError):
            return None  # or cut short by a crash of the machine

    def write(self, path: Path) -> None:
        """Raises FileError."""
        save_text(path, json.dumps(asdict(self)) + "\n")

    @property
    def is_local(self) -> bool:
        return self.host == platform.node()

    @property
    def is_alive(self) -> bool:
        """For a process on this machine."""
        return bool(self.started) and _started(self.pid) == self.started


def is_fresh(path: Path) -> bool:
    """Whether `heartbeat` touched this file within the last minute."""
    try:
        return time.time() - path.stat().st_mtime < STALE_SECONDS
    except OSError:
        return False


@contextmanager
def heartbeat(path: Path) -> Iterator[None]:
    """Touch a file in regular intervals, so that other machines see that this process is alive."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(OSError):  # one heartbeat is missed
                os.utime(path)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _started(pid: int) -> str:
    """When a process started, in units of the system. Empty if it has ended, also as a zombie."""
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            # proc(5): the name in brackets, then the state, …, the start time (the 20th field).
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    state, _, started = answer.stdout.strip().partition(" ")
    return "" if state.startswith("Z") else started.strip()
