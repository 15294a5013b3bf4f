"""A tune from its beginning, or from where it was, until its budget is spent."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from datm_cli.session.run_stage import StopRequest, UntilLost
from datm_cli.studies.study_runner import Computing
from datm_cli.text import output
from datm_cli.text.progress import reader
from datm_cli.tuning import tune_output, workers
from datm_cli.tuning.trial_run import Work, folders_of
from datm_cli.tuning.tune_request import Asked
from datm_cli.tuning.watching import Watching
from datm_engine.errors import DatmError, FileError
from datm_engine.hints import command
from datm_engine.pipeline import Folders
from datm_engine.runs.event_writer import Recorder
from datm_engine.runs.events import Event, RunEnded, RunStarted
from datm_engine.tuning.budget import Budget
from datm_engine.tuning.trial_scheduler import Conductor
from datm_engine.tuning.trials import Trial, Trials
from datm_engine.tuning.tune_folder import Tune
from datm_engine.version import __version__


@dataclass(frozen=True)
class Conducting:
    """`devices`: where trials are worked on, one at a time on each. `keep`: the images of all of
    them, not only of the first and the best."""

    asked: Asked
    folders: Folders
    computing: Computing
    devices: Sequence[str]
    budget: Budget
    stop: StopRequest
    keep: bool
    silent: bool

    def check(self) -> list[str]:
        """The devices in words. Raises ConfigError for one that is not here."""
        stated = self.computing.memory
        memory = "0" if stated == "auto" else stated  # a GPU that is asked is held from then on
        computing, work = replace(self.computing, memory=memory), self.asked.first.run_work
        devices = dict.fromkeys(self.devices)
        return [computing.start(device, None, work).description for device in devices]

    def make(self, tune: Tune) -> Trials:
        """Raises RunError where another process works on it; any other DatmError is recorded
        too."""
        with (
            reader(output.remarks(), silent=self.silent) as shown,
            tune.log.recording() as record,
        ):
            before = tune.log.events()
            started = RunStarted(
                run=tune.name,
                command="tune",
                device=", ".join(self.check()),
                version=__version__,
                seed=self.asked.config.distill.seed,
            )
            told = [*before, record.write(started)]
            screen = Watching(UntilLost(shown))
            try:
                return self._make(tune, told, record, screen)
            except DatmError as problem:
                failed = RunEnded(
                    status="failed", iteration=0, message=problem.message, hint=problem.hint
                )
                with suppress(FileError):  # on a full disk the first problem is the one to tell
                    record.write(failed)
                raise

    def _make(self, tune: Tune, told: list[Event], record: Recorder, screen: Watching) -> Trials:
        began, asked = time.monotonic(), self.asked
        conductor = Conductor(
            told,
            record.write,
            lambda: tune.run(0).config(),
            held=asked.held,
            rungs=asked.rungs,
            seed=asked.config.distill.seed,
            budget=self.budget,
            seconds=lambda: time.monotonic() - began,
        )
        for text in (f"settings: {asked.settled.source}", *asked.settled.notes, *asked.notes()):
            screen.tell(text)
        screen.tell(f"watch it: {command('datm', 'monitor', tune.path)}")
        if over := len(conductor.trials.over):
            screen.tell(f"going on with tune {tune.name}: {over} of its trials are over")

        def stop() -> bool:
            return self.stop() or tune.log.stop_file.exists()

        def ended(trial: Trial) -> None:
            screen.tell(tune_output.line(trial))
            best = conductor.trials.best
            if not self.keep:
                tune.shed(conductor.trials, {0, best.number if best else 0})

        work = Work(folders_of(tune.path, self.folders), asked.first, self.computing)
        if len(self.devices) > 1:
            workers.together(conductor, work, self.devices, stop, ended)
        else:
            workers.alone(conductor, work, stop, screen, ended)
        status = "stopped" if stop() else "done"
        last = RunEnded(status=status, iteration=len(conductor.trials.over))
        conductor.trials.add(record.write(last))
        return conductor.trials
