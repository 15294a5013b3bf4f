"""One trial: a run like one of `datm distill` that ends early if its scores say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from datm_cli.options import ComputeOptions
from datm_cli.session import prepare_run
from datm_cli.session.run_stage import Reader
from datm_engine.errors import ConfigError, MatchingError, Setting
from datm_engine.hints import HELP, retyped
from datm_engine.pipeline import Folders, make_distilled_set
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, DatasetReady, Event
from datm_engine.settings.config import Config
from datm_engine.settings.resolved import Resolved

Score = Callable[[int, float], bool]  # (iteration, percent) → whether the trial continues


@dataclass(frozen=True)
class TrialOutcome:
    """How a trial ended. is_over: it is not to be resumed. failure: why distillation could not
    continue."""

    is_over: bool
    failure: str = ""


class TrialRun(Run):
    """A run whose hints change the command of the tune, not one of `datm distill`."""

    def new_run_command(self, change: Setting | None = None) -> str:
        return retyped(sys.argv[1:], change or HELP)


@dataclass(frozen=True)
class TrialRunner:
    """What a worker needs to run trials. It can be pickled for another process.

    folders: with the tune's folder as that of runs. first: the settings of trial 0.
    """

    folders: Folders
    first: Resolved
    compute: ComputeOptions

    def run(
        self,
        number: int,
        config: Config | None,
        score: Score,
        stop: Callable[[], bool],
        reader: Reader,
    ) -> TrialOutcome:
        """Start or resume a trial, until its end, its scores or `stop()` end it.

        config: None for trial 0. Raises DatmError, but not for a distillation that cannot
        continue: the outcome says so.
        """
        run = TrialRun(self.folders.runs / f"trial-{number:03d}")
        # Scores of an earlier process may be missing in the tune's events.
        known = run.state().candidates if prepare_run.is_started(run) else []
        for candidate in known:
            if not score(candidate.iteration, candidate.accuracy):
                return TrialOutcome(is_over=True)
        resolved = self.first
        if config is not None:
            resolved = replace(resolved, config=config, notes=(), derive=())
        _, runtime = prepare_run.open_run(self.folders, run.name, resolved, self.compute, {})
        is_pruned = False

        def ends() -> bool:
            return is_pruned or stop() or run.stop_file.exists()

        def show(event: Event) -> None:
            nonlocal is_pruned
            reader.read(event)
            # Known only once the images are loaded and split.
            if isinstance(event, DatasetReady) and not event.validation:
                wrong = (
                    f"{event.name} has one training image a class: none is held out to score "
                    "trials on"
                )
                is_subset = run.config().dataset.train_images != "all"
                fix = Setting("dataset.train_images", "all") if is_subset else HELP
                raise ConfigError(wrong, fix)
            if isinstance(event, CandidateScored):
                is_pruned = not score(event.iteration, event.accuracy)

        try:
            with run.recording() as record:
                runtime = replace(runtime, stop=ends)
                with record.recorded(show) as emit:
                    make_distilled_set(run.config(), run, self.folders, runtime, emit=emit)
                is_stopped_by_hand = run.stop_file.exists() and not stop()
        except MatchingError as problem:
            return TrialOutcome(is_over=True, failure=problem.message)
        if not (is_pruned or is_stopped_by_hand or stop()):
            # After its last score a trial never continues, so `is_pruned` is true at its end.
            return TrialOutcome(is_over=True, failure="its last score is lost from its events")
        return TrialOutcome(is_over=is_pruned or is_stopped_by_hand)
