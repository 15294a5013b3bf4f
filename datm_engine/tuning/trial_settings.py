"""Convert settings to those of a short trial, judged by held-out images alone, and back.

A trial is scored at every ninth of its iterations, and most trials end early, by successive halving
(ASHA, Li et al. 2020): after 1/9 and after 1/3, only the best third continues.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from datm_engine.errors import ConfigError, Setting
from datm_engine.settings.config import Config, differences
from datm_engine.settings.derived.rates import FIRST_STEPS, for_length

REDUCTION = 3  # one trial in so many continues
LEVELS = 2  # points at which a trial may end early
MIN_REPEATS = 2  # networks a score: with fewer, scores are mostly noise


def scoring_interval(iterations: int) -> int:
    """Iterations between two scores of a trial of so many iterations."""
    return -(-iterations // REDUCTION**LEVELS)


def score_number(iteration: int, iterations: int) -> int:
    """Which score of a trial, from 1, is made at `iteration`. The last one may come early."""
    return -(-iteration // scoring_interval(iterations))


def shortened(config: Config, iterations: int) -> Config:
    """The settings of a trial of `iterations` iterations.

    Settings that count iterations are scaled. The experts are the same, with their epochs as a
    number, so that all trials share them. Raises ConfigError if no images are held out.
    """
    if not config.dataset.validation:
        raise ConfigError(
            "trials are scored on a held-out part of the training images, and "
            "dataset.validation = 0 holds none out",
            Setting("dataset.validation", 0.1),
        )
    distill, share = config.distill, iterations / config.distill.iterations
    over: dict[str, dict[str, Any]] = {
        # A trial may have any window, so none of the epochs is left out.
        "experts": {"epochs": config.snapshot_epochs, "early_stop": False},
        "distill": {
            "iterations": iterations,
            "expansion_iterations": _scaled(distill.expansion_iterations, share),
        },
        "evaluate": {
            "networks": ["convnet"],
            "against": [],
            "selection": "validation",
            "selection_interval": scoring_interval(iterations),
            "selection_repeats": max(MIN_REPEATS, config.evaluate.selection_repeats),
        },
    }
    if distill.averaging and share != 1:
        # The first images keep their weight in the average: decay^iterations stays the same.
        over["distill"]["averaging"] = round(distill.averaging ** (1 / share), 4)
    return config.with_values(over, "the trials' settings")


def lengthened(config: Config, best: Config, derived: Collection[str] = ()) -> Config:
    """`config` with the changes that the settings of a trial, `best`, make to it.

    derived: keys (`table.key`) that were derived for the trial's length. Learning rates among them
    are converted to the full length.
    """
    iterations = best.distill.iterations
    before = shortened(config, iterations)
    over: dict[str, dict[str, Any]] = {
        "experts": {"epochs": best.snapshot_epochs, "early_stop": False}
    }
    for name, (_, value) in differences(before, best).items():
        table, _, key = name.partition(".")
        # Everything else means the same in a short run and in a long one.
        if key == "expansion_iterations":
            value = _scaled(value, config.distill.iterations / iterations)
        elif key in FIRST_STEPS and name in derived:
            value = for_length(value, iterations, config.distill.iterations)
        over.setdefault(table, {})[key] = value
    return config.with_values(over, "the tuned settings")


def _scaled(count: int, share: float) -> int:
    return max(1, round(count * share)) if count else 0
