"""The engine as a process of its own: starting it, watching it, stopping it.

The engine only writes the run directory, and its screen only reads it. So a screen can be closed,
lost with its terminal, or opened twice, and the engine goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import datm_cli
from datm_cli.text import output
from datm_engine.errors import RunError
from datm_engine.files import cannot_write
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process

LOG_BYTES = 2_000_000  # of engine.log at a start; a process adds about a line every 30 s

_COMMANDS = (("back to it:", "monitor"), ("end it:", "stop"))

# -P: nothing in the current folder is taken for a module of datm's.
_DATM = [sys.executable, "-P", "-m", "datm_cli"]


def start_engine(run: Run, arguments: Sequence[str]) -> None:
    """`datm ARGUMENTS` without a terminal, in a session of its own, its words in engine.log.

    Raises FileError where the run cannot be written.
    """
    try:
        _shorten(run.engine_log)
        log = run.engine_log.open("ab")
    except OSError as problem:
        raise cannot_write(run.engine_log, problem) from None
    with log:
        child = subprocess.Popen(
            [*_DATM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=_environment(),
        )
    # The engine states itself when it is up; until then a screen should not take it for dead.
    stated = Process.of(child.pid)
    if child.poll() is None:
        stated.write(run.process_file)


def _shorten(log: Path) -> None:
    """Keep the end of a log that many starts have made long. Raises OSError."""
    if log.exists() and log.stat().st_size > LOG_BYTES:
        log.write_bytes(log.read_bytes()[-LOG_BYTES // 2 :])


def become_monitor(run: Run, arguments: Sequence[str]) -> NoReturn:
    """Turn this process into `datm monitor RUN`, which does without torch's weight."""
    path = run.path.resolve()
    words = [*_DATM, "monitor", str(path), *arguments]
    told = [f"{word} {command('datm', how, path)}" for word, how in _COMMANDS]
    output.print_line(f"run {run.name} has started; {'; '.join(told)}", stderr=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the screen is there to take it as a key
    os.execve(sys.executable, words, _environment())


def stop_engine(run: Run, patience: float, tell: Callable[[str], None]) -> str:
    """Ask the run's process to end, and wait for it to; the run's status then.

    It finishes its iteration and saves a checkpoint first. Raises RunError if there is none to
    stop, or if it takes longer than `patience` seconds.
    """
    if run.status() not in ("running", "stale"):
        raise RunError(f"run {run.name} is not running: it is {run.status()}", run.listing)
    process = Process.read(run.process_file)
    ask_to_stop(run)
    where = process.host if process and not process.is_local else "this machine"
    tell(f"asked run {run.name} on {where} to stop; it ends after its step, with a checkpoint")
    deadline = time.monotonic() + patience
    while (status := run.status()) in ("running", "stale"):
        if time.monotonic() > deadline:
            raise RunError(
                f"run {run.name} has not stopped within {patience:.0f} s; it may be in a long step",
                command("datm", "monitor", run.path),
            )
        time.sleep(0.1)
    return status


def ask_to_stop(run: Run) -> None:
    """By a file, for a process on any machine; and by a signal, for one on this.

    Raises FileError where the run cannot be written.
    """
    try:
        run.stop_file.touch()
    except OSError as problem:
        raise cannot_write(run.stop_file, problem) from None
    process = Process.read(run.process_file)
    if process and process.is_local and process.is_alive:
        with suppress(ProcessLookupError):  # it ended in between
            os.kill(process.pid, signal.SIGTERM)


def _environment() -> dict[str, str]:
    """With datm to be found where it is, installed or not; without the options that are set
    there, as they have been heeded already and are in the run."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DATM_") or name == "DATM_DEBUG"
    }
    here = str(Path(datm_cli.__file__).resolve().parents[1])
    known = os.environ.get("PYTHONPATH")
    return {**kept, "PYTHONPATH": os.pathsep.join([here, *([known] if known else [])])}
