"""Where runs are broken: a tiny road, walked by forked processes that can be killed, and what an
uninterrupted one leaves, to compare with.

The parent has imported everything and computes nothing, so that a child costs no start.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import torch

import datm_cli.main
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.settings.config import overlay
from tests.conftest import TINY

SETTINGS = overlay(
    TINY,
    {
        "distill": {"iterations": 12, "sample_interval": 3, "checkpoint_seconds": 0.0},
        "evaluate": {"selection_interval": 4},
    },
)
PATIENCE = 300.0  # seconds for one command


@dataclass(frozen=True)
class Ended:
    """A command: its exit code (below 0: the signal that killed it) and what it said."""

    code: int
    said: str

    @property
    def lines(self) -> list[str]:
        """The error and the hint, if it ended with them."""
        told = self.said.strip().splitlines()
        begin = [number for number, line in enumerate(told) if line.startswith("error: ")]
        return told[begin[-1] :] if begin else []

    @property
    def is_two_lines(self) -> bool:
        return (
            self.code in (1, 2)
            and len(self.lines) == 2
            and self.lines[1].startswith("hint: ")
            and "Traceback" not in self.said
            and "a fault in datm" not in self.said
        )


Content = dict[str, bytes | list[Any]]


class Lab:
    """Below `folder`: data, settings, `whole` (never interrupted) and a folder for every case."""

    def __init__(self, folder: Path, **settings: dict[str, Any]) -> None:
        torch.set_num_threads(1)  # a process that has started more must not be forked
        _import_all()
        self.folder = folder
        self.data = folder / "data"
        self.settings = folder / "tiny.toml"
        self.settings.write_text(_toml(overlay(SETTINGS, settings)))
        self.whole = self.case("whole")
        began = time.monotonic()
        ended = self.walk(self.whole)
        self.seconds = time.monotonic() - began
        assert ended.code == 0, ended.said
        self.expected = self.content(self.whole)

    def case(self, name: str) -> Path:
        """A new folder with room for runs and experts."""
        place = self.folder / name
        place.mkdir()
        return place

    def places(self, case: Path) -> list[str]:
        words = {"--runs-dir": "runs", "--experts-dir": "experts"}
        return [
            *(word for option, name in words.items() for word in (option, str(case / name))),
            *("--data-dir", str(self.data)),
        ]

    def beginning(self, case: Path, name: str = "r") -> list[str]:
        words = ["distill", "--dataset", "digits", "--ipc", "1", "--config", str(self.settings)]
        return [*words, *self.places(case), "--name", name, "--memory", "0", "--no-tui", "--quiet"]

    def resuming(self, case: Path, name: str = "r") -> list[str]:
        return ["distill", "--resume", name, *self.places(case), "--no-tui", "--quiet"]

    def next(self, case: Path) -> list[str]:
        """What a person types after a fault: to go on, or to begin where there is nothing."""
        there = (case / "runs" / "r" / "run.json").exists()
        return self.resuming(case) if there else self.beginning(case)

    def start(self, words: Sequence[str], before: Callable[[], object] = lambda: None) -> Child:
        return Child(words, before)

    def walk(self, case: Path, before: Callable[[], object] = lambda: None) -> Ended:
        return self.start(self.next(case), before).wait()

    def run(self, case: Path, name: str = "r") -> Run:
        return Run(case / "runs" / name)

    def content(self, case: Path, name: str = "r") -> Content:
        """All that must come out the same: files byte for byte, facts but for times."""
        run = self.run(case, name)
        files = [run.distilled, run.checkpoint, *run.samples.iterdir()]
        files += (case / "experts").rglob("expert*")
        found: Content = {
            str(path.relative_to(run.path if run.path in path.parents else case)): path.read_bytes()
            for path in files
            if path.is_file()
        }
        found["events.jsonl"] = _facts(run)
        return found

    def differences(self, case: Path, name: str = "r") -> list[str]:
        """Which of them differ from those of the uninterrupted run."""
        found = self.content(case, name)
        names = sorted(found.keys() | self.expected.keys())
        return [part for part in names if found.get(part) != self.expected.get(part)]


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


def follow(hint: str) -> None:
    """Type what a hint says, but for a last `datm`, which is for the caller to type."""
    for part in hint.removeprefix("hint: ").split(" && "):
        words = shlex.split(part, comments=True)
        if words and words[0] in ("rm", "mv", "cp", "chmod"):
            subprocess.run(words, check=True)


def _become(words: Sequence[str], before: Callable[[], object], said: Path) -> None:
    code = 70
    try:
        os.setsid()
        heard = os.open(said, os.O_WRONLY | os.O_TRUNC)
        nothing = os.open(os.devnull, os.O_RDONLY)
        for source, number in ((nothing, 0), (heard, 1), (heard, 2)):
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


def _facts(run: Run) -> list[Any]:
    """What a run says of its iterations, candidates and results, without when and how long."""
    kinds = (events.Matched, events.CandidateScored, events.Evaluated)
    passing = {"time", "seconds", "memory"}
    told = [event for event in run.events() if isinstance(event, kinds)]
    return [
        json.dumps({k: v for k, v in vars(event).items() if k not in passing}) for event in told
    ]


def _toml(tables: dict[str, Any]) -> str:
    lines = []
    for table, keys in tables.items():
        lines += [f"[{table}]", *(f"{key} = {json.dumps(value)}" for key, value in keys.items())]
    return "\n".join(lines)


def _import_all() -> None:
    """What a command imports where it is used, so that a child need not."""
    import sklearn.datasets

    import datm_engine.interop.tracking
    import datm_engine.pipeline

    assert sklearn.datasets
    assert datm_engine.pipeline


def empty(folder: Path) -> None:
    shutil.rmtree(folder, ignore_errors=True)
