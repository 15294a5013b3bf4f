"""Run a tune from its start, or from where it was, until its budget is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from datm_cli.options import ComputeOptions
from datm_cli.session.run_stage import StopRequest, until_lost
from datm_cli.text import output
from datm_cli.text.progress import reader
from datm_cli.text.sentences import sentence
from datm_cli.tuning import workers
from datm_cli.tuning.trial_run import TrialRunner
from datm_cli.tuning.tune_output import trial_line
from datm_cli.tuning.tune_request import TuneRequest
from datm_engine.compute.threads import run_work
from datm_engine.hints import command
from datm_engine.runs.directory import Folders
from datm_engine.runs.event_log import EventWriter
from datm_engine.runs.events import (
    CandidateScored,
    Emit,
    Event,
    Noted,
    RunEnded,
    RunStarted,
    ignore,
)
from datm_engine.runs.state import RunState
from datm_engine.runs.trials import Trial
from datm_engine.tuning.trial_scheduler import Budget, TrialScheduler
from datm_engine.tuning.tune_folder import Tune
from datm_engine.version import __version__


def until_scored(show: Emit) -> Emit:
    """Pass all events of trial 0 to `show` until its first score, and then progress alone, because
    the events of every trial are alike."""
    is_scored = False

    def emit(event: Event) -> None:
        nonlocal is_scored
        if not is_scored or sentence(event) is None:
            show(event)
        is_scored = is_scored or isinstance(event, CandidateScored)

    return emit


@dataclass(frozen=True)
class TuneRunner:
    """Runs a tune. devices: one trial at a time runs on each. keep: keep the images of all trials,
    not only of the first and the best."""

    request: TuneRequest
    folders: Folders
    compute: ComputeOptions
    devices: Sequence[str]
    budget: Budget
    stop: StopRequest
    keep: bool
    silent: bool

    def check(self) -> list[str]:
        """Describe the devices. Raises ConfigError if one is missing."""
        # "auto" measures the free memory of a GPU, which holds the GPU from then on.
        memory = "0" if self.compute.memory == "auto" else self.compute.memory
        first = self.request.first_trial
        work = run_work(first.config, first.shape)
        return [
            replace(self.compute, device=device, memory=memory).start(None, work).description
            for device in dict.fromkeys(self.devices)
        ]

    def run(self, tune: Tune) -> RunState:
        """Run trials until the budget is spent. Returns the tune's state.

        Raises RunError if another process works on it. Any other error is recorded in its events.
        """
        with (
            reader(output.remarks(), silent=self.silent) as shown,
            tune.log.recording() as record,
            record.recorded(ignore),
        ):
            before = tune.log.events()  # of earlier processes, which the scheduler repeats
            started = RunStarted(
                run=tune.name,
                command="tune",
                device=", ".join(self.check()),
                version=__version__,
                seed=self.request.config.distill.seed,
            )
            recorded = [*before, record.write(started)]
            return self._run(tune, recorded, record, until_lost(shown.read))

    def _run(self, tune: Tune, recorded: list[Event], record: EventWriter, show: Emit) -> RunState:
        started, request = time.monotonic(), self.request
        scheduler = TrialScheduler(
            recorded,
            record.write,
            lambda: tune.run(0).config(),
            held=request.held,
            iterations=request.iterations,
            seed=request.config.distill.seed,
            budget=self.budget,
            seconds=lambda: time.monotonic() - started,
        )
        notes = [*request.resolved.messages(), *request.notes()]
        notes.append(f"watch it: {command('datm', 'monitor', tune.path)}")
        if over := len(scheduler.trials.over):
            notes.append(f"resuming tune {tune.name}: {over} of its trials are over")
        for text in notes:
            show(Noted(text=text))

        def stop() -> bool:
            return self.stop() or tune.log.stop_file.exists()

        def on_end(trial: Trial) -> None:
            show(Noted(text=trial_line(trial)))
            best = scheduler.trials.best
            # Trial 0 shows what the settings gave as they were.
            if not self.keep:
                tune.remove_tensors(keep={0, best.number if best else 0})

        folders = replace(self.folders, runs=tune.path)
        runner = TrialRunner(folders, request.first_trial, self.compute)
        if len(self.devices) > 1:
            workers.run_on_devices(scheduler, runner, self.devices, stop, on_end)
        else:
            workers.run_alone(scheduler, runner, stop, until_scored(show), on_end)
        status = "stopped" if stop() else "done"
        last = RunEnded(status=status, iteration=len(scheduler.trials.over))
        scheduler.state.add(record.write(last))
        return scheduler.state
