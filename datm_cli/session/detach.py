"""Run the engine as a process of its own: start it, watch it, stop it, read its last output.

The engine only writes the run directory and a screen only reads it. So a screen can be closed, lost
with its terminal, or opened twice, while the engine continues.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NoReturn

import datm_cli
from datm_cli.text import output
from datm_engine.errors import RunError
from datm_engine.files import cannot_write
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process

LOG_BYTES = 2_000_000  # of engine.log at most when a run starts; a line is added every 30 s
TAIL_LINES = 20  # of engine.log that are shown if the engine crashed

# -P: do not import modules from the current folder.
_DATM = [sys.executable, "-P", "-m", "datm_cli"]


def start_engine(run: Run, arguments: Sequence[str]) -> None:
    """Start `datm ARGUMENTS` in a session of its own, with its output in engine.log.

    Raises FileError if the run cannot be written.
    """
    try:
        log = run.engine_log
        if log.exists() and log.stat().st_size > LOG_BYTES:
            log.write_bytes(log.read_bytes()[-LOG_BYTES // 2 :])  # keep the end of a long log
        output_file = log.open("ab")
        run.stop_file.unlink(missing_ok=True)  # of a request to an earlier process
    except OSError as problem:
        raise cannot_write(run.engine_log, problem) from None
    # The child keeps its own copy of the file descriptor. It ignores SIGTERM until it listens to
    # it: a stop that is requested while it imports is read from the STOP file then.
    with output_file, _ignored(signal.SIGTERM):
        child = subprocess.Popen(
            [*_DATM, *arguments],
            stdin=subprocess.DEVNULL,
            stdout=output_file,
            stderr=output_file,
            start_new_session=True,
            env=_environment(),
        )
    # The engine writes this file itself once it has started, which takes seconds.
    process = Process.of(child.pid)
    if child.poll() is None:
        process.write(run.process_file)


@contextmanager
def _ignored(number: signal.Signals) -> Iterator[None]:
    """Ignore a signal; a process that is started within inherits that."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(number, before)


def become_monitor(run: Run, arguments: Sequence[str]) -> NoReturn:
    """Replace this process by `datm monitor RUN`, which frees the memory of torch."""
    path = run.path.resolve()
    words = [*_DATM, "monitor", str(path), *arguments]
    watch, stop = command("datm", "monitor", path), command("datm", "stop", path)
    started = f"run {run.name} has started; watch it: {watch}; stop it: {stop}"
    output.print_line(started, stderr=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # until the screen reads ctrl+c as a key
    os.execve(sys.executable, words, _environment())


def stop_engine(run: Run, patience: float, report: Callable[[str], None]) -> str:
    """Stop the run's process and wait until it ended. Returns the status of the run.

    The process finishes its iteration and saves a checkpoint. Raises RunError if the run is not
    running, or if the process takes longer than `patience` seconds.
    """
    if run.status() not in ("running", "stale"):
        raise RunError(f"run {run.name} is not running: it is {run.status()}", run.list_command)
    process = Process.read(run.process_file)
    ask_to_stop(run)
    where = process.host if process and not process.is_local else "this machine"
    report(f"asked run {run.name} on {where} to stop; it ends after its step, with a checkpoint")
    deadline = time.monotonic() + patience
    # "stale": the heartbeat of another machine may be late, and the process still running.
    while (status := run.status()) in ("running", "stale"):
        if time.monotonic() > deadline:
            raise RunError(
                f"run {run.name} has not stopped within {patience:.0f} s; it may be in a long step",
                command("datm", "monitor", run.path),
            )
        time.sleep(0.1)
    return status


def ask_to_stop(run: Run) -> None:
    """Request the end of the run by a file, for any machine, and by a signal on this one.

    Raises FileError if the run cannot be written.
    """
    try:
        run.stop_file.touch()
    except OSError as problem:
        raise cannot_write(run.stop_file, problem) from None
    process = Process.read(run.process_file)
    if process and process.is_local and process.is_alive:
        with suppress(ProcessLookupError):  # it ended meanwhile
            os.kill(process.pid, signal.SIGTERM)


def engine_log_tail(path: Path) -> list[str]:
    """What the engine printed after its last line of progress: usually why it crashed."""
    try:
        text = path.read_bytes()[-20_000:].decode(errors="replace")
    except OSError:  # the engine printed to a terminal, or the run was removed
        return []
    # Lines of progress begin with a clock: [00:01:30] …
    after = re.split(r"(?m)^\[\d\d:\d\d:.*\n?", text)[-1]
    return [line for line in after.split("\n") if line.strip()][-TAIL_LINES:]


def _environment() -> dict[str, str]:
    """The environment, with the path of this datm, installed or not. Options set by DATM_ variables
    are left out, as they are in the run already."""
    variables = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("DATM_") or name == "DATM_DEBUG"
    }
    package = str(Path(datm_cli.__file__).resolve().parents[1])
    paths = [package, *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**variables, "PYTHONPATH": os.pathsep.join(paths)}
