"""The run directory: all that a run records, written by one process and read by any.

    NAME/  run.json · events.jsonl · checkpoint.safetensors · distilled.safetensors
           samples/ · preview.safetensors · engine.log · process.json · lock · STOP

Loads no torch, so that runs are listed and shown quickly.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from datm_engine.errors import DatmError, FileError, RunError, Setting
from datm_engine.files import (
    cannot_write,
    make_folder,
    or_elsewhere,
    remove_leftovers,
    temporary_path,
)
from datm_engine.hints import command, datm, option, retyped
from datm_engine.runs import manifest, names
from datm_engine.runs.event_log import EventReader, EventWriter
from datm_engine.runs.events import Event
from datm_engine.runs.manifest import Manifest
from datm_engine.runs.names import normalized, same_but_for_case, valid_name
from datm_engine.runs.process import Process, heartbeat, is_fresh
from datm_engine.runs.state import RunState, fold
from datm_engine.settings.config import Config, build


class _File:
    """A file or folder of a run directory: `run.checkpoint` is its path."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: Run, _: type[Run]) -> Path:
        return run.path / self._name


REAL_IMAGES = "samples/real.safetensors"  # in a run's folder


@dataclass(frozen=True)
class Folders:
    """data: downloads and decoded images. experts: sets of experts. runs: run directories."""

    data: Path = field(default_factory=lambda: Path("~/.cache/datm").expanduser())
    experts: Path = Path("experts")
    runs: Path = Path("runs")


@dataclass(frozen=True)
class Run:
    """One run directory. Reading needs no lock, `recording` takes it."""

    path: Path

    manifest_file = _File(manifest.FILE)
    checkpoint = _File("checkpoint.safetensors")
    distilled = _File("distilled.safetensors")
    samples = _File("samples")
    real_images = _File(REAL_IMAGES)  # one a class, to show before there are samples
    preview = _File("preview.safetensors")  # the latest sample, replaced every few seconds
    event_log = _File("events.jsonl")
    engine_log = _File("engine.log")  # the output of a process that runs without a terminal
    process_file = _File("process.json")  # of the process that writes the run, which removes it
    stop_file = _File("STOP")  # if it exists, the process that writes the run stops

    @property
    def name(self) -> str:
        return self.path.name

    @classmethod
    def create(cls, runs_dir: Path, name: str, config: Config, facts: Mapping[str, Any]) -> Run:
        """Create a run with other fields of its manifest in `facts`, whole or not at all.

        A failed run of that name that produced nothing is replaced. Raises ConfigError for a name
        that cannot be a folder's, RunError if it is taken, FileError.
        """
        run = cls(runs_dir / valid_name(name, "my-run"))
        if run.failed_early:
            run.delete()
        if run.path.exists():
            raise run._name_taken()
        if other := same_but_for_case(runs_dir, run.name):
            wrong = f"{runs_dir / other} differs from the name {run.name} in letter case only"
            raise RunError(wrong, Setting("name", free_name(runs_dir, run.name)))
        content = Manifest(config=config.model_dump(), created=time.time(), **facts)
        with or_elsewhere(runs_dir, "runs_dir"):
            make_folder(runs_dir)
            remove_leftovers(runs_dir)
            # Written beside and renamed, so that nobody sees a run without its manifest.
            unfinished = Run(temporary_path(run.path))
            try:
                unfinished.samples.mkdir(parents=True)
                content.save(unfinished.path)
                # Fails if another process took the name meanwhile.
                unfinished.path.rename(run.path)
            except (FileError, OSError) as problem:
                unfinished.delete()
                if run.path.exists():
                    raise run._name_taken() from None
                raise cannot_write(run.path, problem) from None
        return run

    def _name_taken(self) -> RunError:
        if self.manifest_file.exists():
            return RunError(f"run {self.name} exists already", self.resume_command)
        free = free_name(self.path.parent, self.name)
        return RunError(f"{self.path} exists and is not a run", Setting("name", free))

    @classmethod
    def open(cls, runs_dir: Path, name: str) -> Run:
        """The run of that name, or in that folder. Raises RunError if there is none."""
        path = runs_dir / name
        if not path.exists():
            other = same_but_for_case(runs_dir, name)
            if other and normalized(other) == normalized(name):
                path = runs_dir / other  # its letters are stored in another composition
            elif (Path(name) / manifest.FILE).is_file():
                path = Path(name)
        run = cls(path)
        if not run.manifest_file.is_file():
            listing = datm("runs", runs_dir=runs_dir)
            raise RunError(f"there is no run {name} in {runs_dir}", listing)
        return run

    @classmethod
    def all(cls, runs_dir: Path) -> list[Run]:
        """Oldest first, with damaged ones."""
        paths = runs_dir.glob(f"*/{manifest.FILE}")
        visible = [path for path in paths if not path.parent.name.startswith(".")]
        return [cls(path.parent) for path in sorted(visible, key=_modified)]

    def manifest(self) -> Manifest:
        """Raises RunError if run.json is damaged."""
        return Manifest.load(self.path)

    def update(self, config: Config | None = None, **facts: Any) -> None:
        """Change the configuration or other fields of run.json."""
        changes = facts if config is None else {**facts, "config": config.model_dump()}
        Manifest(**{**self.manifest().model_dump(), **changes}).save(self.path)

    def config(self) -> Config:
        """Raises RunError if run.json is damaged, ConfigError for settings that are not valid."""
        return build(self.manifest().config, str(self.manifest_file))

    def events(self) -> list[Event]:
        """All events as they were recorded. Lines that are not events are ignored."""
        return self.read_log()[0]

    def read_log(self) -> tuple[list[Event], int]:
        """All events as they were recorded, and how many lines of the log are not events. Raises
        RunError if it cannot be read."""
        reader = EventReader(self.event_log)
        try:
            return reader.read(), reader.unreadable
        except OSError as problem:
            message = f"{self.event_log} cannot be read: {problem.strerror}"
            raise RunError(message, command("ls", "-l", self.path)) from None

    def state(self) -> RunState:
        """Fold the event log."""
        return fold(self.events())

    def status(self) -> str:
        """One of "new", "running", "done", "stopped", "failed", "crashed" (it ended without
        recording it) and "stale" (its process is on another machine and has no heartbeat)."""
        return self.process_status() or self.state().status

    def process_status(self) -> str | None:
        """The status of the process that writes the run: "running", "crashed" or "stale". None if
        there is no such process; the status is then that of the events."""
        process = Process.read(self.process_file)
        if process is None:  # it ended and removed the file, or has never run
            return None
        if process.is_local:
            return "running" if process.is_alive else "crashed"
        return "running" if is_fresh(self.process_file) else "stale"

    @property
    def failed_early(self) -> bool:
        """Whether the run failed before its first checkpoint. False if it is damaged."""
        try:
            return not self.checkpoint.exists() and self.status() == "failed"
        except RunError:
            return False

    def delete(self) -> None:
        """Remove the folder, as far as permissions allow."""
        shutil.rmtree(self.path, ignore_errors=True)

    @property
    def list_command(self) -> str:
        """The command that lists this run and its neighbours."""
        return datm("runs", runs_dir=self.path.parent)

    @property
    def resume_command(self) -> str:
        """The command that resumes the run."""
        return datm("distill", resume=self.path)

    def new_run_command(self, change: Setting | None = None) -> str:
        """The command for a new run with the same settings, folders and device, but for
        `change`."""
        arguments: dict[str, object] = {"config": self.manifest_file, "runs_dir": self.path.parent}
        arguments |= self.manifest().options
        words = [word for key, value in arguments.items() for word in option(Setting(key, value))]
        typed = ["distill", *words]
        return retyped(typed, change) if change else command("datm", *typed)

    @contextmanager
    def recording(self) -> Iterator[EventWriter]:
        """Write the run: one process at a time. Raises RunError if another process does, FileError
        if the folder cannot be written."""
        with ExitStack() as stack:
            try:
                lock = stack.enter_context((self.path / "lock").open("wb"))
                # The system releases this lock when the process ends, however it ends.
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # Without a buffer, a write that failed on a full disk is not repeated on closing.
                log = stack.enter_context(self.event_log.open("a+b", buffering=0))
                # A process that `start_engine` registered may have been asked to stop already; any
                # other request was to an earlier process.
                if Process.read(self.process_file) != Process.of(os.getpid()):
                    self.stop_file.unlink(missing_ok=True)
                writer = EventWriter(self.event_log, log, self.describe_failure)
            except BlockingIOError:
                wrong = f"run {self.name} is being written by another process"
                raise RunError(wrong, self.list_command) from None
            except OSError as problem:
                raise cannot_write(Path(problem.filename or self.event_log), problem) from None
            for folder in (self.path, self.samples):
                remove_leftovers(folder)
            Process.of(os.getpid()).write(self.process_file)
            with heartbeat(self.process_file):
                try:
                    yield writer
                finally:
                    with suppress(OSError):  # on a disk that became read-only; it counts as crashed
                        self.process_file.unlink(missing_ok=True)

    def not_recording(self) -> EventWriter:
        """A writer that writes nothing, for ranks other than the first."""
        return EventWriter(self.event_log, None, self.describe_failure)

    def describe_failure(self, problem: Exception) -> tuple[str, str]:
        """The message and the hint for the event that records a failure.

        The hint is a whole command: a setting is changed in a new run, and without a fix the run
        is resumed.
        """
        if not isinstance(problem, DatmError):
            message = f"{type(problem).__name__}: {problem}"
            return message, f"{self.resume_command}   # after the cause is removed"
        if isinstance(problem.fix, Setting):
            problem.command = self.new_run_command(problem.fix)
        else:
            problem.command = problem.fix or self.resume_command
        return problem.message, problem.command


def _modified(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except OSError:  # removed meanwhile
        return 0.0


def free_name(runs_dir: Path, name: str) -> str:
    """The valid `name`, or the first of name-2, name-3, … that can be created."""

    def is_taken(name: str) -> bool:
        is_there = (runs_dir / name).exists() and not Run(runs_dir / name).failed_early
        return is_there or same_but_for_case(runs_dir, name) is not None

    return names.free_name(name, is_taken) if is_taken(name) else name
