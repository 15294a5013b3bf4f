"""Choose the settings of trials and which of them continue, by Optuna's TPE sampler and pruner.

Nothing is stored here. A tune that resumes repeats its events, in their order. Each trial's sampler
is seeded by the trial's number, so that the same events lead to the same next trial.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datm_engine.compute.runtime import derive_seed
from datm_engine.optional_imports import require
from datm_engine.tuning.search_space import Choice, Point, SearchSpace
from datm_engine.tuning.trial_settings import REDUCTION

RANDOM_TRIALS = 8  # drawn evenly, before those that are drawn near the best ones


@contextmanager
def _without_warnings() -> Iterator[None]:
    """Optuna warns of changes in its future versions."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class OptunaSearch:
    """A search of `space`. Trials are numbered from 0 as they start.

    Scores are in percent. A trial counts with its best score so far. Raises DatmError if Optuna is
    missing.
    """

    @_without_warnings()
    def __init__(self, space: SearchSpace, seed: int) -> None:
        self._optuna = require("optuna", extra="tune", purpose="datm tune")
        self._optuna.logging.disable_default_handler()
        # Steps are scores, from 1: a trial may end at the first and at the third of nine.
        pruner = self._optuna.pruners.SuccessiveHalvingPruner(
            min_resource=1, reduction_factor=REDUCTION
        )
        self._study = self._optuna.create_study(direction="maximize", pruner=pruner)
        distributions = self._optuna.distributions
        self._distributions = {
            name: distributions.CategoricalDistribution(dimension.values)
            if isinstance(dimension, Choice)
            else distributions.FloatDistribution(dimension.low, dimension.high, log=dimension.log)
            for name, dimension in space.dimensions.items()
        }
        self.space, self._seed = space, seed
        self._trials: list[Any] = []
        self._best: dict[int, float] = {}  # by trial

    @_without_warnings()
    def start_trial(self, point: Point | None = None) -> Point:
        """Start the next trial, at `point` if it is given. Returns its point."""
        # A sampler for each trial: its draws do not depend on where the tune was interrupted.
        seed = derive_seed(self._seed, "tune", len(self._trials)) % 2**32
        self._study.sampler = self._optuna.samplers.TPESampler(
            n_startup_trials=RANDOM_TRIALS, seed=seed
        )
        if point is not None:
            self._study.enqueue_trial(point)
        trial = self._study.ask(self._distributions)
        self._trials.append(trial)
        return {name: float(value) for name, value in trial.params.items()}

    @_without_warnings()
    def report(self, number: int, step: int, score: float) -> bool:
        """Report each score once, in order. Returns whether the trial is among the best third of
        those that have come as far."""
        trial = self._trials[number]
        self._best[number] = max(score, self._best.get(number, score))
        trial.report(self._best[number], step)
        return not trial.should_prune()

    @_without_warnings()
    def end_trial(self, number: int, *, complete: bool) -> None:
        """End a trial. One that failed without a score counts as the worst."""
        if complete:
            self._study.tell(self._trials[number], self._best[number])
        else:
            pruned = self._optuna.trial.TrialState.PRUNED
            self._study.tell(self._trials[number], state=pruned)
