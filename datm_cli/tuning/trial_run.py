"""One trial: a run like one of `datm distill` that ends early if its scores say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

from datm_cli.options import ComputeOptions
from datm_cli.session import prepare_run
from datm_engine.errors import ConfigError, MatchingError, Setting, Stopped
from datm_engine.hints import HELP, retyped
from datm_engine.pipeline import make_distilled_set
from datm_engine.runs.directory import Folders, Run
from datm_engine.runs.events import CandidateScored, DatasetReady, Emit, Event
from datm_engine.settings.config import Config
from datm_engine.settings.resolved import Resolved

Score = Callable[[int, float], bool]  # (iteration, percent) → whether the trial continues


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
        show: Emit,
    ) -> str:
        """Start or resume a trial, until its scores end it. Returns why distillation could not
        continue; empty if it could.

        config: None for trial 0. Raises Stopped if `stop()` ends it, which a later process resumes,
        and any DatmError but MatchingError.
        """
        run = TrialRun(self.folders.runs / f"trial-{number:03d}")
        # Scores of an earlier process may be missing in the tune's events.
        known = run.state().candidates if prepare_run.is_started(run) else []
        for candidate in known:
            if not score(candidate.iteration, candidate.accuracy):
                return ""
        resolved = self.first
        if config is not None:
            resolved = replace(resolved, config=config, notes=(), derive=())
        _, runtime = prepare_run.open_run(self.folders, run.name, resolved, self.compute, {})
        is_pruned = False

        def ends() -> bool:
            return is_pruned or stop() or run.stop_file.exists()

        def show_and_score(event: Event) -> None:
            nonlocal is_pruned
            show(event)
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
                with record.recorded(show_and_score) as emit:
                    make_distilled_set(run.config(), run, self.folders, runtime, emit=emit)
                is_stopped_by_hand = run.stop_file.exists() and not stop()
        except MatchingError as problem:
            return problem.message
        if is_pruned or is_stopped_by_hand:
            return ""
        if stop():
            raise Stopped
        # After its last score a trial never continues, so `is_pruned` is true at its end.
        return "its last score is lost from its events"
