"""Where to look next and whom to let go on: Optuna's sampler and pruner, without its storage.

What is asked and told is kept as the tune's events, and told again from the beginning when a tune
goes on. Each trial's draws come from a sampler seeded by its number, so that a search of the same
history goes on in the same way, wherever it was interrupted.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from datm_engine.compute.runtime import derive_seed
from datm_engine.optional_imports import require
from datm_engine.tuning.rungs import REDUCTION
from datm_engine.tuning.search_space import Choice, Draw, Range, Space

AT_RANDOM = 8  # trials before those that are drawn near the good ones


class Search:
    """Trials are numbered as they are begun, from 0, which is the space's centre. Scores are
    percent, and of a trial the best so far counts. Raises DatmError where Optuna is missing."""

    def __init__(self, space: Space, seed: int) -> None:
        with _in_silence():
            self._optuna = require("optuna", extra="tune", purpose="datm tune")
            self._optuna.logging.disable_default_handler()
            pruner = self._optuna.pruners.SuccessiveHalvingPruner(
                min_resource=1, reduction_factor=REDUCTION
            )
            self._study = self._optuna.create_study(direction="maximize", pruner=pruner)
            self._places = {name: self._distribution(d) for name, d in space.dimensions.items()}
        self.space, self._seed = space, seed
        self._trials: list[Any] = []
        self._best: dict[int, float] = {}

    def begin(self, draw: Draw | None = None) -> Draw:
        """The next trial, at a place of the search's own choice or at `draw`."""
        seed = derive_seed(self._seed, "tune", len(self._trials)) % 2**32
        with _in_silence():
            self._study.sampler = self._optuna.samplers.TPESampler(
                n_startup_trials=AT_RANDOM, seed=seed
            )
            if draw is not None:
                self._study.enqueue_trial(draw)
            trial = self._study.ask(self._places)
        self._trials.append(trial)
        return {name: float(value) for name, value in trial.params.items()}

    def goes_on(self, number: int, step: int, score: float) -> bool:
        """Whether a trial may go on after this score; asked once for every step, in order."""
        trial = self._trials[number]
        self._best[number] = max(score, self._best.get(number, score))
        with _in_silence():
            trial.report(self._best[number], step)
            return not trial.should_prune()

    def end(self, number: int, *, complete: bool) -> None:
        """One that failed counts as pruned before it had a score: as the worst there is."""
        states = self._optuna.trial.TrialState
        with _in_silence():
            if complete:
                self._study.tell(self._trials[number], self._best[number])
            else:
                self._study.tell(self._trials[number], state=states.PRUNED)

    def _distribution(self, dimension: Range | Choice) -> Any:
        of = self._optuna.distributions
        if isinstance(dimension, Choice):
            return of.CategoricalDistribution(dimension.values)
        return of.FloatDistribution(dimension.low, dimension.high, log=dimension.log)


@contextmanager
def _in_silence() -> Iterator[None]:
    """Optuna warns of what its next versions will bring, which is nothing to whoever tunes."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
