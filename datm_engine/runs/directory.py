"""The run directory: everything a run states and makes, written by one process, read by any.

NAME/  run.json · events.jsonl · checkpoint.safetensors · distilled.safetensors
       samples/ · preview.safetensors · engine.log · process.json · lock · STOP

Comes without torch, so that a run is quick to look at; what its tensor files hold is read by
`checkpoint.py`, `synthetic.py` and `distilled.py`.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datm_engine.errors import FileError, RunError
from datm_engine.files import (
    cannot_write,
    make_folder,
    or_elsewhere,
    passing,
    remove_leftovers,
)
from datm_engine.hints import command, retyped
from datm_engine.runs.event_replay import still_true
from datm_engine.runs.event_tail import EventTail
from datm_engine.runs.event_writer import Recorder, end_line
from datm_engine.runs.events import Event, RunEnded, RunStarted
from datm_engine.runs.manifest import read_facts, write_facts
from datm_engine.runs.names import checked, normalized, numbered, same_but_for_case
from datm_engine.runs.process import Process, beating, shows_life
from datm_engine.runs.state import RunState, fold
from datm_engine.settings.config import Config, build


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
        """A new run; nothing is left of one that cannot be made whole.

        One of that name that failed before it had made anything gives its place. Raises ConfigError
        for what is no folder's name, RunError if the name is taken, FileError.
        """
        run = cls(runs_dir / checked(name, "my-run"))
        if run.was_in_vain:
            run.discard()
        if run.path.exists():
            raise run._taken()
        if other := same_but_for_case(runs_dir, run.name):
            wrong = f"{runs_dir / other} differs from the name {run.name} in letter case only"
            raise RunError(wrong, command("--name", free_name(runs_dir, run.name)))
        with or_elsewhere(runs_dir, "--runs-dir"):
            run._make({"config": config.model_dump(), "created": time.time(), **facts})
        return run

    def _make(self, stated: dict[str, Any]) -> None:
        """The folder, whole or not at all, and for one process only. Raises FileError, RunError."""
        make_folder(self.path.parent)
        remove_leftovers(self.path.parent)
        begun = Run(passing(self.path))
        try:
            begun.samples.mkdir(parents=True)
            write_facts(begun.path, stated)
            begun.path.rename(self.path)
        except (FileError, OSError) as problem:
            begun.discard()
            if self.path.exists():
                raise self._taken() from None
            raise cannot_write(self.path, problem) from None

    def _taken(self) -> RunError:
        if (self.path / "run.json").exists():
            return RunError(f"run {self.name} exists already", self.resuming)
        free = free_name(self.path.parent, self.name)
        return RunError(f"{self.path} is there already, and is no run", command("--name", free))

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> Run:
        """The run of that name, or in that folder. Raises RunError if there is none."""
        by_path = (Path(name) / "run.json").is_file() and not (runs_dir / name).exists()
        run = cls(Path(name) if by_path else _named(runs_dir, name))
        if not (run.path / "run.json").is_file():
            listing = command("datm", "runs", "--runs-dir", runs_dir)
            raise RunError(f"there is no run {name} in {runs_dir}", listing)
        return run

    @classmethod
    def all(cls, runs_dir: Path) -> list[Run]:
        """Oldest first, damaged ones too."""
        stated = [p for p in runs_dir.glob("*/run.json") if not p.parent.name.startswith(".")]
        return [cls(path.parent) for path in sorted(stated, key=_written)]

    def facts(self) -> dict[str, Any]:
        """What run.json states. Raises RunError if it is damaged."""
        return read_facts(self.path)

    def restate(self, config: Config, **facts: Any) -> None:
        """Put another configuration, and other facts, in the place of those in run.json."""
        write_facts(self.path, {**self.facts(), **facts, "config": config.model_dump()})

    def note(self, **facts: Any) -> None:
        """Add to what run.json states, or put it in the place of what it stated before."""
        write_facts(self.path, {**self.facts(), **facts})

    def config(self) -> Config:
        return build(self.facts()["config"], str(self.path / "run.json"))

    def events(self) -> list[Event]:
        """Every fact still true, in order. Where a resumed run went over iterations again, only
        the last telling counts; a line that is no event (a write cut short) is passed over."""
        try:
            told = EventTail(self.event_log).read()
        except OSError as problem:
            told_of = f"{self.event_log} cannot be read: {problem.strerror}"
            raise RunError(told_of, command("ls", "-l", self.path)) from None
        return still_true(told)

    def state(self) -> RunState:
        """Fold the event log."""
        return fold(self.events())

    def status(self) -> str:
        """ "running" or, once it has ended, "done", "stopped" or "failed"; "crashed" if it ended
        without saying so; "stale" if it ran on another machine that shows no life; "new" if it
        was never started."""
        told = self.process_status()
        if told is None:
            last: RunStarted | RunEnded | None = None
            for event in self.events():
                last = event if isinstance(event, RunStarted | RunEnded) else last
            told = status_after(last)
        return told

    def process_status(self) -> str | None:
        """What the process that writes this run says by being there: "running", "crashed" or
        "stale"; None if there is none, and the events tell."""
        process = Process.read(self.process_file)
        if process is None:
            return None
        if process.is_here:
            return "running" if process.is_alive else "crashed"
        return "running" if shows_life(self.process_file) else "stale"

    @property
    def was_in_vain(self) -> bool:
        """Whether it failed before it had made anything. A damaged one may have."""
        try:
            return not self.checkpoint.exists() and self.status() == "failed"
        except RunError:
            return False

    def discard(self) -> None:
        """Remove the folder, as far as that is allowed."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def listing(self) -> str:
        """The command that shows this run among its neighbours."""
        return command("datm", "runs", "--runs-dir", self.path.parent)

    @property
    def resuming(self) -> str:
        """The command that goes on with it."""
        return command("datm", "distill", "--resume", self.path)

    def again(self, change: str = "") -> str:
        """The command for a new run like this one, where it looks for everything, but for `change`
        (options)."""
        words = ["distill", "--config", self.path / "run.json", "--runs-dir", self.path.parent]
        for key, place in self.facts().get("places", {}).items():
            words += [f"--{key.replace('_', '-')}", place]
        plain = [str(word) for word in words]
        return retyped(plain, change) if change else command("datm", *plain)

    @contextmanager
    def recording(self) -> Iterator[Recorder]:
        """The right to write, for one process at a time. Raises RunError if another has it,
        FileError where nothing can be written."""
        with ExitStack() as held:
            try:
                lock = held.enter_context((self.path / "lock").open("wb"))
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Unbuffered: what a full disk did not take is not tried again on closing.
                log = held.enter_context(self.event_log.open("a+b", buffering=0))
                self.stop_file.unlink(missing_ok=True)
                end_line(log)
            except BlockingIOError:
                wrong = f"run {self.name} is being written by another process"
                raise RunError(wrong, self.listing) from None
            except OSError as problem:
                raise cannot_write(Path(problem.filename or self.event_log), problem) from None
            for folder in (self.path, self.samples):
                remove_leftovers(folder)
            Process.of(os.getpid()).write(self.process_file)
            held.callback(self._end_process)
            held.enter_context(beating(self.process_file))
            yield Recorder(self, log)

    def _end_process(self) -> None:
        with suppress(OSError):  # on a disk that went read-only: then it counts as crashed
            self.process_file.unlink(missing_ok=True)


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # gone since it was seen
        return 0.0


def status_after(last: RunStarted | RunEnded | None) -> str:
    """The status of a run that no process writes, by the latest of its starts and ends."""
    if last is None:
        return "new"
    return last.status if isinstance(last, RunEnded) else "crashed"


def free_name(runs_dir: Path, name: str) -> str:
    """`name`, which is valid, with the first number that makes it new if need be."""
    free, number = name, 1
    while same_but_for_case(runs_dir, free) or (
        (runs_dir / free).exists() and not Run(runs_dir / free).was_in_vain
    ):
        number += 1
        free = numbered(name, number)
    return free


def _named(runs_dir: Path, name: str) -> Path:
    """The folder of that name, whether or not its letters are stored composed."""
    path = runs_dir / name
    if not path.exists() and (other := same_but_for_case(runs_dir, name)):
        return runs_dir / other if normalized(other) == normalized(name) else path
    return path
