"""Settings as a trial has them: shorter, judged by held-out images alone; and back again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from datm_engine.errors import ConfigError
from datm_engine.settings.config import Config, build, differences, overlay
from datm_engine.settings.derived import STEPPED, for_length
from datm_engine.tuning.rungs import Rungs

LEAST_REPEATS = 2  # networks a score: fewer make it a matter of chance


def shortened(asked: Config, iterations: int) -> Config:
    """As a trial of so many iterations. What counts iterations is shortened alike; the experts
    are those of `asked`, with their epochs as a number, so that all trials share them.

    Raises ConfigError where nothing is held out.
    """
    if not asked.dataset.validation:
        raise ConfigError(
            "trials are scored on a held-out part of the training images, and "
            "dataset.validation = 0 holds none out",
            "--set dataset.validation=0.1",
        )
    distill, share = asked.distill, iterations / asked.distill.iterations
    over: dict[str, dict[str, Any]] = {
        "experts": {"epochs": asked.snapshot_epochs},
        "distill": {
            "iterations": iterations,
            "expansion_iterations": _scaled(distill.expansion_iterations, share),
        },
        "evaluate": {
            "networks": ["convnet"],
            "against": [],
            "selection": "validation",
            "selection_interval": Rungs(iterations).interval,
            "selection_repeats": max(LEAST_REPEATS, asked.evaluate.selection_repeats),
        },
    }
    if distill.averaging and share != 1:  # the first images weigh as much in the average
        over["distill"]["averaging"] = round(distill.averaging ** (1 / share), 4)
    return build(overlay(asked.model_dump(), over), "the trials' settings")


def lengthened(asked: Config, best: Config, derived: Collection[str] = ()) -> Config:
    """`asked` with what a trial's settings, `best`, have changed in them. `derived`: the keys
    (`table.key`) that were derived for the trial's length; rates among them become those of the
    whole."""
    iterations = best.distill.iterations
    before = shortened(asked, iterations)
    over: dict[str, dict[str, Any]] = {"experts": {"epochs": best.snapshot_epochs}}
    for name, (_, found) in differences(before, best).items():
        table, _, key = name.partition(".")
        if key == "expansion_iterations":
            found = _scaled(found, asked.distill.iterations / iterations)
        elif key in STEPPED and name in derived:
            found = for_length(found, iterations, asked.distill.iterations)
        over.setdefault(table, {})[key] = found
    return build(overlay(asked.model_dump(), over), "the tuned settings")


def _scaled(count: int, share: float) -> int:
    return max(1, round(count * share)) if count else 0
