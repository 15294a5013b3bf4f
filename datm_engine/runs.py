"""The run directory: everything a run states and makes, written by one process, read by any.

NAME/  run.json · events.jsonl · checkpoint.safetensors · distilled.safetensors
       samples/ · engine.log · lock
"""

from __future__ import annotations

import fcntl
import json
import os
import re
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from datm_engine import events
from datm_engine.config import Config, build
from datm_engine.errors import FileError, RunError
from datm_engine.events import CandidateScored, Event, Matched, RunEnded, RunStarted, SampleSaved
from datm_engine.files import make_folder, save_text

if TYPE_CHECKING:
    from datm_engine.checkpoint import Progress
    from datm_engine.synthetic import SyntheticSet

Result = TypeVar("Result")


@dataclass(frozen=True)
class Run:
    """One run directory. Reading needs no lock; `recording` takes it."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def checkpoint(self) -> Path:
        return self.path / "checkpoint.safetensors"

    @property
    def distilled(self) -> Path:
        return self.path / "distilled.safetensors"

    @property
    def samples(self) -> Path:
        return self.path / "samples"

    @classmethod
    def create(cls, runs_dir: Path, name: str, config: Config, facts: dict[str, Any]) -> Run:
        """A new run. Raises RunError if the name is taken or no name for a folder."""
        if not re.fullmatch(r"[\w.+-]+", name) or name.startswith("."):
            raise RunError(f"--name {name!r} cannot be a folder's name", "--name my-run")
        run = cls(runs_dir / name)
        if run.path.exists():
            raise RunError(f"run {name} exists already", f"datm distill --resume {name}")
        make_folder(run.samples, "datm distill --runs-dir DIR")
        stated = {"config": config.model_dump(), "created": time.time(), **facts}
        save_text(run.path / "run.json", json.dumps(stated, indent=2) + "\n")
        return run

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> Run:
        """Raises RunError if there is no such run."""
        run = cls(runs_dir / name)
        if not (run.path / "run.json").is_file():
            raise RunError(
                f"there is no run {name} in {runs_dir}", f"datm runs --runs-dir {runs_dir}"
            )
        return run

    @classmethod
    def all(cls, runs_dir: Path) -> list[Run]:
        """Oldest first, damaged ones too."""
        stated = sorted(runs_dir.glob("*/run.json"), key=lambda path: path.stat().st_mtime)
        return [cls(path.parent) for path in stated]

    def facts(self) -> dict[str, Any]:
        """What run.json states. Raises RunError if it is damaged."""
        try:
            stated = json.loads((self.path / "run.json").read_text(encoding="utf-8"))
        except (OSError, ValueError) as problem:
            raise RunError(f"{self.path / 'run.json'} is damaged: {problem}", "datm runs") from None
        if not isinstance(stated, dict) or "config" not in stated:
            raise RunError(f"{self.path / 'run.json'} states no configuration", "datm runs")
        return stated

    def config(self) -> Config:
        return build(self.facts()["config"], str(self.path / "run.json"))

    def events(self) -> list[Event]:
        """Every fact still true, in order. Where a resumed run went over iterations again, only
        the last telling counts; a line that is no event (a write cut short) is passed over."""
        kept: list[Event] = []
        for event in self._lines():
            if isinstance(event, RunStarted):
                kept = [e for e in kept if not _undone(e, event.resumed_at)]
            kept.append(event)
        return kept

    def _lines(self) -> Iterator[Event]:
        try:
            text = (self.path / "events.jsonl").read_text(encoding="utf-8", errors="replace")
        except FileNotFoundError:
            return
        for line in text.splitlines():
            try:
                yield events.from_json(line)
            except ValueError:
                continue

    def status(self) -> str:
        """running, done, stopped, failed; interrupted if it ended without saying so."""
        if self.locked():
            return "running"
        for event in reversed(self.events()):
            if isinstance(event, RunEnded):
                return event.status
            if isinstance(event, RunStarted):
                break
        return "interrupted"

    def locked(self) -> bool:
        """Whether a process is writing to this run."""
        try:
            with (self.path / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True
        return False

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """The right to write, for one process at a time. Raises RunError if another has it."""
        try:
            with (self.path / "lock").open("wb") as lock, self._appending() as file:
                _take(lock)
                yield Recorder(file)
        except BlockingIOError:
            raise RunError(
                f"run {self.name} is being written by another process", "datm runs"
            ) from None
        except PermissionError as problem:
            raise RunError(
                f"{problem.filename} cannot be written: {problem.strerror}",
                f"chmod -R u+w {self.path}",
            ) from None

    @contextmanager
    def _appending(self) -> Iterator[Any]:
        with (self.path / "events.jsonl").open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # an earlier process was cut off within a line
                    file.write(b"\n")
            yield file

    def progress(self) -> Progress:
        """How far the checkpoint is. Raises FileError if it is damaged."""
        from datm_engine.checkpoint import Checkpoint, Progress

        return Checkpoint.load(self.checkpoint).progress if self.checkpoint.exists() else Progress()

    def read_synthetic(self, *, last: bool = False) -> SyntheticSet:
        """The distilled set: the selected one; the last iteration's with `last`, or while
        nothing has been selected yet. Raises FileError if there is nothing to see yet."""
        from datm_engine.checkpoint import Checkpoint
        from datm_engine.synthetic import SyntheticSet

        if not self.distilled.exists():
            raise FileError(
                f"run {self.name} has no images yet", f"datm distill --resume {self.name}"
            )
        selected = SyntheticSet.load(self.distilled)
        if not self.checkpoint.exists() or (selected.iteration > 0 and not last):
            return selected
        checkpoint = Checkpoint.load(self.checkpoint)
        return replace(
            selected,
            images=checkpoint.learned["images"],
            labels=checkpoint.learned["labels"],
            syn_lr=float(checkpoint.learned["syn_lr"]),
            iteration=checkpoint.progress.iteration,
        )


class Recorder:
    """Appends events to a run, each flushed as a line of its own."""

    def __init__(self, file: Any) -> None:
        self._file = file

    def write(self, event: Event) -> Event:
        """The event as it was recorded, with its time. Raises FileError on a full disk."""
        stamped = replace(event, time=time.time())
        try:
            self._file.write(events.to_json(stamped).encode() + b"\n")
            self._file.flush()
        except OSError as problem:
            raise FileError(
                f"{self._file.name} cannot be written: {problem.strerror}",
                f"df -h {Path(self._file.name).parent}",
            ) from None
        return stamped

    def follow(self, stage: Generator[Event, None, Result]) -> Generator[Event, None, Result]:
        """The stage's events, each recorded before it is passed on; a failure is recorded too."""
        iteration = 0
        try:
            while True:
                event = next(stage)
                iteration = getattr(event, "iteration", None) or iteration
                yield self.write(event)
        except StopIteration as end:
            result: Result = end.value
            return result
        except Exception as problem:
            message = getattr(problem, "message", f"{type(problem).__name__}: {problem}")
            hint = getattr(problem, "hint", "")
            failed = RunEnded(status="failed", iteration=iteration, message=message, hint=hint)
            with suppress(FileError):  # on a full disk the first problem is the one to tell
                self.write(failed)
            raise


def _take(lock: Any) -> None:
    """Raises BlockingIOError if another process has it for more than a moment: one that only
    looks whether the run is locked holds it for an instant too."""
    for _ in range(20):
        with suppress(BlockingIOError):
            return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.05)
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)


def free_name(runs_dir: Path, stem: str) -> str:
    """`stem` as a folder's name, with the first number that makes it new if need be."""
    stem = re.sub(r"[^\w.+-]+", "-", stem).lstrip(".-")
    name, number = stem, 1
    while (runs_dir / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def _undone(event: Event, resumed_at: int) -> bool:
    if isinstance(event, Matched | CandidateScored | SampleSaved):
        return event.iteration > resumed_at
    return False
