"""Which process writes a run, on which machine, and whether it is still alive."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from datm_engine.files import parse_json, save_text

BEAT_SECONDS = 10.0  # between signs of life
STALE_SECONDS = 60.0  # without one, a process on another machine counts as lost


@dataclass(frozen=True)
class Process:
    """`started` tells a process from a later one that was given the same number."""

    host: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> Process:
        return cls(platform.node(), pid, _started(pid))

    @classmethod
    def read(cls, path: Path) -> Process | None:
        """The process that `path` states; None if it states none."""
        try:
            stated = parse_json(path.read_text(encoding="utf-8"))
            return cls(str(stated["host"]), int(stated["pid"]), str(stated["started"]))
        except (OSError, ValueError, KeyError, TypeError):
            return None  # not written yet, or by a machine that died while writing it

    def write(self, path: Path) -> None:
        """Raises FileError."""
        save_text(path, json.dumps(asdict(self)) + "\n")

    @property
    def is_local(self) -> bool:
        return self.host == platform.node()

    @property
    def is_alive(self) -> bool:
        """Of a process on this machine."""
        return bool(self.started) and _started(self.pid) == self.started


def is_fresh(path: Path) -> bool:
    """Whether `path`, which `heartbeat` keeps fresh, was so within the last minute."""
    try:
        return time.time() - path.stat().st_mtime < STALE_SECONDS
    except OSError:
        return False


@contextmanager
def heartbeat(path: Path) -> Iterator[None]:
    """Touch `path` again and again, so that other machines see that this process lives."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(BEAT_SECONDS):
            with suppress(OSError):  # a missed beat is all that it means
                os.utime(path)

    thread = threading.Thread(target=beat, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _started(pid: int) -> str:
    """When the process began, in the system's own terms; empty if it is gone or a zombie.

    Source: proc(5), `stat`: the fields behind the name in brackets are state (the first) and
    start time (the twentieth).
    """
    stat = Path(f"/proc/{pid}/stat")
    if stat.parent.parent.joinpath("self").exists():
        try:
            fields = stat.read_text(errors="replace").rpartition(")")[2].split()
        except OSError:
            return ""
        return "" if fields[0] in "ZX" else fields[19]
    command = ["ps", "-o", "stat=,lstart=", "-p", str(pid)]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    told = answer.stdout.split(None, 1)
    return told[1].strip() if len(told) == 2 and not told[0].startswith("Z") else ""
