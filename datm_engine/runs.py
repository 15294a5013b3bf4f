"""The run directory: everything a run states and makes, written by one process, read by any.

NAME/  run.json · events.jsonl · checkpoint.safetensors · distilled.safetensors
       samples/ · preview.safetensors · engine.log · process.json · lock · STOP

Comes without torch, so that a run is quick to look at; what its tensor files hold is read by
`checkpoint.py`, `synthetic.py` and `distilled.py`.
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
from typing import Any, TypeVar

from datm_engine import events
from datm_engine.config import Config, build
from datm_engine.errors import ConfigError, FileError, RunError
from datm_engine.events import (
    CandidateScored,
    Evaluated,
    EvaluationChanged,
    Event,
    Matched,
    RunEnded,
    RunStarted,
    SampleSaved,
)
from datm_engine.files import make_folder, save_text
from datm_engine.process import Process, beating, shows_life
from datm_engine.tail import EventTail

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

    @property
    def preview(self) -> Path:
        """Pictures of the set as it was a moment ago, in the form of a sample."""
        return self.path / "preview.safetensors"

    @property
    def event_log(self) -> Path:
        return self.path / "events.jsonl"

    @property
    def engine_log(self) -> Path:
        """What the process prints that writes this run, if nobody watches it."""
        return self.path / "engine.log"

    @property
    def process_file(self) -> Path:
        """States the process that writes this run; gone when it has ended of itself."""
        return self.path / "process.json"

    @property
    def stop_file(self) -> Path:
        """Asks the process that writes this run to end it, from anywhere."""
        return self.path / "STOP"

    @classmethod
    def create(cls, runs_dir: Path, name: str, config: Config, facts: dict[str, Any]) -> Run:
        """A new run. Raises RunError if the name is taken or no name for a folder."""
        if not re.fullmatch(r"[\w.+-]{1,100}", name) or name.startswith("."):
            wrong = f"--name {name!r} cannot be a folder's name"
            raise ConfigError(wrong, "datm distill --name my-run")
        run = cls(runs_dir / name)
        if run.path.exists():
            raise RunError(f"run {name} exists already", f"datm distill --resume {name}")
        make_folder(run.samples, "datm distill --runs-dir DIR")
        stated = {"config": config.model_dump(), "created": time.time(), **facts}
        save_text(run.path / "run.json", json.dumps(stated, indent=2) + "\n")
        return run

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> Run:
        """The run of that name, or in that folder. Raises RunError if there is none."""
        by_path = (Path(name) / "run.json").is_file() and not (runs_dir / name).exists()
        run = cls(Path(name) if by_path else runs_dir / name)
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
        if not isinstance(stated, dict) or not isinstance(stated.get("config"), dict):
            raise RunError(f"{self.path / 'run.json'} states no configuration", "datm runs")
        return stated

    def restate(self, config: Config) -> None:
        """Put another configuration in the place of the one in run.json."""
        self.note(config=config.model_dump())

    def note(self, **facts: Any) -> None:
        """Add to what run.json states, or put it in the place of what it stated before."""
        save_text(self.path / "run.json", json.dumps({**self.facts(), **facts}, indent=2) + "\n")

    def config(self) -> Config:
        return build(self.facts()["config"], str(self.path / "run.json"))

    def events(self) -> list[Event]:
        """Every fact still true, in order. Where a resumed run went over iterations again, only
        the last telling counts; a line that is no event (a write cut short) is passed over."""
        kept: list[Event] = []
        try:
            told = EventTail(self.event_log).read()
        except OSError as problem:
            told_of = f"{self.event_log} cannot be read: {problem.strerror}"
            raise RunError(told_of, "datm runs") from None
        for event in told:
            if isinstance(event, RunStarted | EvaluationChanged):
                kept = [e for e in kept if not is_undone(e, event)]
            kept.append(event)
        return kept

    def status(self) -> str:
        """ "running" or, once it has ended, "done", "stopped" or "failed"; "crashed" if it ended
        without saying so; "stale" if it ran on another machine that shows no life; "new" if it
        was never started."""
        process = Process.read(self.process_file)
        if process is None:
            told = self.events()
            ended = next((e for e in reversed(told) if isinstance(e, RunEnded | RunStarted)), None)
            if isinstance(ended, RunEnded):
                return ended.status
            return "crashed" if ended else "new"
        if process.is_here:
            return "running" if process.is_alive else "crashed"
        return "running" if shows_life(self.process_file) else "stale"

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """The right to write, for one process at a time. Raises RunError if another has it."""
        try:
            with (self.path / "lock").open("wb") as lock, self._appending() as file:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self.stop_file.unlink(missing_ok=True)
                Process.of(os.getpid()).write(self.process_file)
                try:
                    with beating(self.process_file):
                        yield Recorder(file)
                finally:
                    self.process_file.unlink(missing_ok=True)
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
        with self.event_log.open("a+b") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":  # an earlier process was cut off within a line
                    file.write(b"\n")
            yield file


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


def free_name(runs_dir: Path, stem: str) -> str:
    """`stem` as a folder's name, with the first number that makes it new if need be."""
    stem = re.sub(r"[^\w.+-]+", "-", stem).lstrip(".-")
    name, number = stem, 1
    while (runs_dir / name).exists():
        number += 1
        name = f"{stem}-{number}"
    return name


def is_undone(event: Event, later: RunStarted | EvaluationChanged) -> bool:
    """Whether a fact no longer holds: where a run has gone on from its checkpoint, the iterations
    after it are repeated, and so is what depends on them."""
    if isinstance(later, EvaluationChanged):
        return isinstance(event, Evaluated)
    if isinstance(event, Evaluated):
        return event.set.startswith("distilled")
    if isinstance(event, Matched | CandidateScored | SampleSaved):
        return event.iteration > later.resumed_at
    return False
