"""Run the trials of a tune: in this process, or in one process for each of several devices.

The scheduler stays in this process. A worker sends it every score, and waits for the answer.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from multiprocessing.synchronize import Event as SharedEvent
from typing import Any

from datm_cli.tuning.trial_run import TrialRunner
from datm_engine.errors import DatmError, RunError, Stopped
from datm_engine.hints import HELP
from datm_engine.runs.events import Emit, ignore
from datm_engine.runs.trials import Trial
from datm_engine.settings.config import Config
from datm_engine.tuning.trial_scheduler import TrialScheduler

EXIT_SECONDS = 60.0  # a worker has to exit once its pipe is closed
POLL_SECONDS = 0.3  # between checks of whether to stop

Stop = Callable[[], bool]
OnEnd = Callable[[Trial], None]


def run_alone(
    scheduler: TrialScheduler, runner: TrialRunner, stop: Stop, show: Emit, on_end: OnEnd
) -> None:
    """Run one trial after another, until the budget is spent or `stop()`. `on_end` is called after
    each trial that is over."""

    def is_over() -> bool:
        return stop() or scheduler.is_out_of_time

    while not stop() and (trial := scheduler.next_trial()) is not None:
        number = trial.number
        config = None if number == 0 else scheduler.config(number)

        def score(iteration: int, accuracy: float, number: int = number) -> bool:
            return scheduler.score(number, iteration, accuracy)

        with suppress(Stopped):
            failure = runner.run(number, config, score, is_over, show)
            on_end(scheduler.end(number, failure))


@dataclass
class Worker:
    """A process on a device. trial: the number of the one that it runs."""

    device: str
    process: BaseProcess
    pipe: Connection[Any, Any]
    trial: int | None = None


def run_on_devices(
    scheduler: TrialScheduler,
    runner: TrialRunner,
    devices: Sequence[str],
    stop: Stop,
    on_end: OnEnd,
) -> None:
    """As `run_alone`, with a process for each device. Raises the first error of a worker, after
    the others have finished their steps."""
    context = get_context("spawn")  # CUDA does not survive a fork
    halt = context.Event()  # set once, to end the trials of all workers
    workers = []
    for device in devices:
        own = replace(runner, compute=replace(runner.compute, device=device))
        pipe, their_end = context.Pipe()
        arguments = (own, their_end, halt, os.getpid())
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        their_end.close()  # so that reading raises EOFError once the worker is gone
        workers.append(Worker(device, process, pipe))
    error: DatmError | None = None
    while True:
        if error or stop() or scheduler.is_out_of_time:
            halt.set()
        else:
            _hand_out_trials(scheduler, workers)
        # Nobody works: the budget is spent, or there is nothing left to try.
        if not (busy := [worker for worker in workers if worker.trial is not None]):
            break
        ready = wait([worker.pipe for worker in busy], timeout=POLL_SECONDS)
        for worker in busy:
            if worker.pipe in ready:
                error = _answer(scheduler, worker, on_end) or error
    for worker in workers:
        worker.pipe.close()
    for worker in workers:
        worker.process.join(EXIT_SECONDS)
    if error:
        raise error


def _hand_out_trials(scheduler: TrialScheduler, workers: list[Worker]) -> None:
    for worker in workers:
        busy = {other.trial for other in workers if other.trial is not None}
        if worker.trial is None and (trial := scheduler.next_trial(busy)) is not None:
            worker.trial = trial.number
            config = None if trial.number == 0 else scheduler.config(trial.number)
            worker.pipe.send((trial.number, config))


def _answer(scheduler: TrialScheduler, worker: Worker, on_end: OnEnd) -> DatmError | None:
    """Answer a worker's message. Returns its error, if it is one."""
    assert worker.trial is not None
    number = worker.trial
    try:
        match worker.pipe.recv():
            case ("scored", iteration, accuracy):
                worker.pipe.send(scheduler.score(number, iteration, accuracy))
            case ("ended", failure):
                worker.trial = None
                on_end(scheduler.end(number, failure))
            case ("stopped",):
                worker.trial = None
            case ("failed", message, hint):
                worker.trial = None
                return DatmError(message, hint)
    except (EOFError, ConnectionError):  # the process is gone: out of memory, or killed
        worker.trial = None
        worker.process.join(EXIT_SECONDS)
        code = worker.process.exitcode
        return RunError(
            f"the worker on {worker.device} died in trial {number} (exit code {code})", ""
        )
    return None


def _work(runner: TrialRunner, pipe: Connection[Any, Any], halt: SharedEvent, parent: int) -> None:
    """The main function of a worker: run trials as they come, until the pipe is closed."""
    # The terminal sends signals to workers too. The parent handles them, and sets `halt`.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)

    def stop() -> bool:
        # If the parent dies, its children get another one.
        return halt.is_set() or os.getppid() != parent

    def score(iteration: int, accuracy: float) -> bool:
        pipe.send(("scored", iteration, accuracy))
        return bool(pipe.recv())

    while True:
        try:
            job: tuple[int, Config | None] = pipe.recv()
        except (EOFError, ConnectionError):
            return
        try:
            pipe.send(("ended", runner.run(*job, score, stop, ignore)))
        except Stopped:
            pipe.send(("stopped",))
        except (EOFError, ConnectionError):
            return
        except DatmError as problem:
            pipe.send(("failed", problem.message, problem.fix))
        except Exception as problem:
            pipe.send(("failed", f"a fault in datm: {type(problem).__name__}: {problem}", HELP))
