"""A trial: a run by the road of `datm distill`, which ends when its scores say so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from datm_cli.resolve import Settings
from datm_cli.session import prepare_run
from datm_cli.session.run_stage import Reader
from datm_cli.studies.study_runner import Computing
from datm_engine.errors import ConfigError, MatchingError
from datm_engine.hints import HELP, retyped
from datm_engine.pipeline import Folders, make_distilled_set
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, DatasetReady
from datm_engine.settings.config import Config

Scored = Callable[[int, float], bool]  # of an iteration: whether the trial goes on


@dataclass(frozen=True)
class Ending:
    """`over`: the trial is not to be gone on with; `failure`: why it could not go on."""

    over: bool
    failure: str = ""


class TrialRun(Run):
    """What would be changed in a new run is changed in the tune that was typed."""

    def again(self, change: str = "") -> str:
        return retyped(sys.argv[1:], change or "--help")


@dataclass(frozen=True)
class Work:
    """What a worker must know of a tune; can be sent to another process. `folders.runs` is the
    tune's own; `first`: the settings of trial 0, which those of others are changes of."""

    folders: Folders
    first: Settings
    computing: Computing

    def do(
        self,
        number: int,
        config: Config | None,
        scored: Scored,
        stop: Callable[[], bool],
        reader: Reader,
    ) -> Ending:
        """Make a trial's run, or go on with it, until its scores or `stop()` end it.

        `config` is None for the first one. Raises DatmError for all but a distillation that cannot
        go on, which is a finding.
        """
        run = TrialRun(self.folders.runs / f"trial-{number:03d}")
        new = not (run.path / "run.json").is_file() or run.was_in_vain
        known = [] if new else [e for e in run.events() if isinstance(e, CandidateScored)]
        for candidate in known:
            if not scored(candidate.iteration, candidate.accuracy):
                return Ending(over=True)
        asked, device = self.computing, self.computing.device or "auto"
        before = None if new else prepare_run.arithmetic_of(run)
        settled = (
            self.first
            if config is None
            else replace(self.first, config=config, notes=(), derive=())
        )
        on = asked.start(device, before, settled.run_work)
        if new:
            prepare_run.new_run(self.folders, run.name, settled, device, on)
        by_score = False

        def ends() -> bool:
            return by_score or stop() or run.stop_file.exists()

        try:
            with run.recording() as record:
                road = make_distilled_set(run.config(), run, self.folders, on, ends)
                for event in record.follow(road):
                    reader.read(event)
                    if isinstance(event, DatasetReady) and not event.validation:
                        raise _nothing_held_out(event, run.config())
                    if isinstance(event, CandidateScored):
                        by_score = not scored(event.iteration, event.accuracy)
                by_hand = run.stop_file.exists() and not stop()
        except MatchingError as problem:
            return Ending(over=True, failure=problem.message)
        if not (by_score or by_hand or stop()):
            return Ending(over=True, failure="its last score is lost from its events")
        return Ending(over=by_score or by_hand)


def _nothing_held_out(event: DatasetReady, config: Config) -> ConfigError:
    wrong = f"{event.name} has one training image a class: none is held out to score trials on"
    fewer = config.dataset.train_images != "all"
    return ConfigError(wrong, "--set dataset.train_images=all" if fewer else HELP)


def folders_of(tune: Path, folders: Folders) -> Folders:
    """The same, with the trials' runs in the tune's folder."""
    return replace(folders, runs=tune)
