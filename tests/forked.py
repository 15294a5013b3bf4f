"""`datm` in a forked process: it can be killed and signalled, and it costs no imports.

A process that has started threads of torch's, or has used a GPU, must not be forked.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

# Imported here, so that a child need not.
import sklearn.datasets  # noqa: F401

import datm_cli.main
import datm_engine.interop.tracking
import datm_engine.pipeline  # noqa: F401

PATIENCE = 300.0  # seconds for one command


@dataclass(frozen=True)
class Ended:
    """A command: its exit code (below 0: the signal that killed it) and what it said."""

    code: int
    said: str

    @property
    def lines(self) -> list[str]:
        """The error and the hint, if it ended with them."""
        text = self.said.strip().splitlines()
        begin = [number for number, line in enumerate(text) if line.startswith("error: ")]
        return text[begin[-1] :] if begin else []

    @property
    def is_two_lines(self) -> bool:
        return (
            self.code in (1, 2)
            and len(self.lines) == 2
            and self.lines[1].startswith("hint: ")
            and "Traceback" not in self.said
            and "a fault in datm" not in self.said
        )


class Child:
    """`datm WORDS` in a forked process of its own session; `before` is called in it first."""

    def __init__(self, words: Sequence[str], before: Callable[[], object] = lambda: None) -> None:
        descriptor, name = tempfile.mkstemp(prefix="datm-said-")
        os.close(descriptor)
        self._said = Path(name)
        self.pid = os.fork()
        if self.pid == 0:
            _become(words, before, self._said)
        self.status: int | None = None

    def poll(self) -> bool:
        """Whether it has ended."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            self.status = status if pid else None
        return self.status is not None

    def signal(self, number: int) -> None:
        if not self.poll():
            os.kill(self.pid, number)

    def wait(self) -> Ended:
        """Its end; one that hangs is killed, and has failed."""
        deadline = time.monotonic() + PATIENCE
        while not self.poll():
            if time.monotonic() > deadline:
                self.signal(signal.SIGKILL)
                raise TimeoutError(f"it hangs: {self._said.read_text(errors='replace')}")
            time.sleep(0.002)
        assert self.status is not None
        said = self._said.read_text(errors="replace")
        self._said.unlink(missing_ok=True)
        return Ended(os.waitstatus_to_exitcode(self.status), said)


def _become(words: Sequence[str], before: Callable[[], object], said: Path) -> None:
    code = 70
    try:
        os.setsid()
        written = os.open(said, os.O_WRONLY | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, number in ((nothing, 0), (written, 1), (written, 2)):
            os.dup2(source, number)
        sys.argv = ["datm", *words]
        before()
        for number, name in enumerate(("stdin", "stdout", "stderr")):
            setattr(sys, name, _stream(number))
        datm_cli.main.main()
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(bool(end.code))
    except BaseException:
        with said.open("a") as file:  # whatever has become of the streams
            traceback.print_exc(file=file)
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError, AttributeError):
                stream.flush()
        os._exit(code)


def _stream(number: int) -> TextIO | None:
    """As Python has it at its start: None where it is closed."""
    try:
        return os.fdopen(number, "w" if number else "r", closefd=False)
    except OSError:
        return None
