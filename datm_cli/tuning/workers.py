"""Who works on trials: this process, or one for each of several devices.

The conductor decides in this process alone, so that one log tells it all; a worker asks it after
every score, and waits for the answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any, Protocol

from datm_cli.session.run_stage import Reader
from datm_cli.text.progress import Nothing
from datm_cli.tuning.trial_run import Work
from datm_engine.errors import DatmError, RunError
from datm_engine.hints import HELP
from datm_engine.settings.config import Config
from datm_engine.tuning.trial_scheduler import Conductor
from datm_engine.tuning.trials import Trial

PATIENCE = 60.0  # seconds for a worker to leave, once it has nothing to do
LOOK = 0.3  # seconds between looks at whether to stop

Stop = Callable[[], bool]
Told = Callable[[Trial], None]


class Halt(Protocol):
    """An event between processes."""

    def set(self) -> None: ...
    def is_set(self) -> bool: ...


def alone(conductor: Conductor, work: Work, stop: Stop, reader: Reader, told: Told) -> None:
    """Trial after trial, until the budget is spent or `stop()`. `told` hears of each that ended."""

    def is_over() -> bool:
        return stop() or conductor.is_out_of_time

    while not stop() and (trial := conductor.next()) is not None:
        number = trial.number
        config = None if number == 0 else conductor.config(number)

        def scored(iteration: int, accuracy: float, number: int = number) -> bool:
            return conductor.scored(number, iteration, accuracy)

        ending = work.do(number, config, scored, is_over, reader)
        if ending.over:
            told(conductor.ended(number, ending.failure))


@dataclass
class Worker:
    """A process on a device. `at`: the number of the trial it is working on."""

    device: str
    process: BaseProcess
    line: Connection[Any, Any]
    at: int | None = None


def together(
    conductor: Conductor, work: Work, devices: Sequence[str], stop: Stop, told: Told
) -> None:
    """The same with a process for each device. Raises what went wrong first in one of them, after
    the others have ended their steps."""
    context = get_context("spawn")
    halt = context.Event()
    workers = []
    for device in devices:
        own = replace(work, computing=replace(work.computing, device=device))
        here, there = context.Pipe()
        process = context.Process(target=_serve, args=(own, there, halt, os.getpid()), daemon=True)
        process.start()
        there.close()
        workers.append(Worker(device, process, here))
    wrong: DatmError | None = None
    while True:
        if wrong or stop() or conductor.is_out_of_time:
            halt.set()
        else:
            _deal(conductor, workers)
        if not (busy := [worker for worker in workers if worker.at is not None]):
            break
        heard = wait([worker.line for worker in busy], timeout=LOOK)
        for worker in busy:
            if worker.line in heard:
                wrong = _hear(conductor, worker, told) or wrong
    _dismiss(workers)
    if wrong:
        raise wrong


def _deal(conductor: Conductor, workers: list[Worker]) -> None:
    """A trial to each worker that has none, as far as there are any."""
    for worker in workers:
        busy = {other.at for other in workers if other.at is not None}
        if worker.at is None and (trial := conductor.next(busy)) is not None:
            worker.at = trial.number
            config = None if trial.number == 0 else conductor.config(trial.number)
            worker.line.send((trial.number, config))


def _hear(conductor: Conductor, worker: Worker, told: Told) -> DatmError | None:
    """What a worker says, answered; what went wrong with it."""
    assert worker.at is not None
    number = worker.at
    try:
        match worker.line.recv():
            case ("scored", iteration, accuracy):
                worker.line.send(conductor.scored(number, iteration, accuracy))
            case ("ended", over, failure):
                worker.at = None
                if over:
                    told(conductor.ended(number, failure))
            case ("broke", message, hint):
                worker.at = None
                return DatmError(message, hint)
    except (EOFError, ConnectionError):
        worker.at = None
        worker.process.join(PATIENCE)
        code = worker.process.exitcode
        return RunError(
            f"the worker on {worker.device} died in trial {number} (exit code {code})", ""
        )
    return None


def _dismiss(workers: list[Worker]) -> None:
    for worker in workers:
        worker.line.close()
    for worker in workers:
        worker.process.join(PATIENCE)


def _serve(work: Work, line: Connection[Any, Any], halt: Halt, parent: int) -> None:
    """A worker's life: trials as they come, until the line is closed. It leaves signals to the
    process that it works for."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def stop() -> bool:
        return halt.is_set() or os.getppid() != parent

    def scored(iteration: int, accuracy: float) -> bool:
        line.send(("scored", iteration, accuracy))
        return bool(line.recv())

    while True:
        try:
            job: tuple[int, Config | None] = line.recv()
        except (EOFError, ConnectionError):
            return
        try:
            ending = work.do(*job, scored, stop, Nothing())
            line.send(("ended", ending.over, ending.failure))
        except (EOFError, ConnectionError):
            return
        except DatmError as problem:
            line.send(("broke", problem.message, problem.hint))
        except Exception as problem:
            line.send(("broke", f"a fault in datm: {type(problem).__name__}: {problem}", HELP))
