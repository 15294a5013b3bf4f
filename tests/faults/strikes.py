"""Striking a process in the middle of its writes: at the n-th of the points before, within and
after every call by which datm changes a disk. Set up in the process that is to be struck."""

from __future__ import annotations

import errno
import json
import os
import random
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

import datm_engine.runs.event_log
import datm_engine.tensors

NO_SPACE = "No space left on device"


class Striker:
    """`blow(kind)` is called at point number `at`, counted from 0, or never; `kinds` are those
    passed."""

    def __init__(self, at: int | None, blow: Callable[[str], None], seed: int = 0) -> None:
        self.at, self._blow = at, blow
        self.kinds: list[str] = []
        self._draws = random.Random(seed)

    def set_up(self) -> None:
        """Patch the calls, for the rest of this process."""
        for owner, name in (
            (os, "fsync"),
            (os, "link"),
            (Path, "mkdir"),
            (Path, "rename"),
            (Path, "replace"),
            (Path, "unlink"),
        ):
            self._wrap(owner, name)
        self._wrap_open()
        self._wrap_tensors()
        self._wrap_lines()

    def _point(self, kind: str) -> None:
        self.kinds.append(kind)
        if len(self.kinds) - 1 == self.at:
            self._blow(kind)

    def _wrap(self, owner: Any, name: str) -> None:
        real = getattr(owner, name)

        def struck(*words: Any, **options: Any) -> Any:
            self._point(f"before {name}")
            made = real(*words, **options)
            self._point(f"after {name}")
            return made

        setattr(owner, name, struck)

    def _wrap_open(self) -> None:
        real = Path.open

        def struck(path: Path, mode: str = "r", *words: Any, **options: Any) -> Any:
            if "r" in mode and "+" not in mode:
                return real(path, mode, *words, **options)
            self._point("before open")
            file = real(path, mode, *words, **options)
            self._point("after open")
            return file

        Path.open = struck  # type: ignore[method-assign, assignment]

    def _wrap_tensors(self) -> None:
        real = datm_engine.tensors.save_file

        def struck(tensors: Any, path: Path, **options: Any) -> None:
            self._point("before tensors")
            real(tensors, path, **options)
            if len(self.kinds) == self.at:  # half a file
                os.truncate(path, self._draws.randrange(path.stat().st_size))
            self._point("within tensors")

        datm_engine.tensors.save_file = struck

    def _wrap_lines(self) -> None:
        real = datm_engine.runs.event_log._write_all

        def struck(file: Any, content: bytes) -> None:
            if len(self.kinds) == self.at:  # half a line
                real(file, content[: self._draws.randrange(len(content))])
            self._point("within line")
            real(file, content)
            self._point("after line")

        datm_engine.runs.event_log._write_all = struck


def kill(kind: str) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def no_space(kind: str) -> None:
    """As the call would say it."""
    if kind.endswith("tensors"):
        raise SafetensorError(f"Error while serializing: I/O error: {NO_SPACE} (os error 28)")
    if not kind.startswith("after"):
        raise OSError(errno.ENOSPC, NO_SPACE)


def list_points(write: Path) -> Callable[[], None]:
    """Called in the child: strikes never, and leaves the kinds of its points in `write`."""

    def begin() -> None:
        striker = Striker(None, kill)
        striker.set_up()
        end = os._exit

        def leave(code: int) -> None:
            write.write_text(json.dumps(striker.kinds))
            end(code)

        os._exit = leave  # type: ignore[assignment]

    return begin
