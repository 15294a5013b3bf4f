"""Published accuracies to compare a run with, and how its settings differ from the published ones.

The figures are in `presets/published.toml`. Their settings are in the preset of the same dataset
and number of images per class.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from datm_engine.settings import presets
from datm_engine.settings.choose_preset import ChosenSettings, with_method
from datm_engine.settings.config import Config, build, differences, read_toml
from datm_engine.settings.derived.values import WINDOW

# Keys that do not change what is published: names, seeds, checkpoints and comparisons.
_IGNORED = {
    *("dataset.name", "dataset.seed", "experts.seed", "distill.seed", "distill.sample_interval"),
    *("distill.checkpoint_seconds", "distill.max_skips_in_a_row", "evaluate.networks"),
    *("evaluate.against", "evaluate.full_epochs", "evaluate.full_repeats", "evaluate.real_lr"),
}


@dataclass(frozen=True)
class Published:
    """Percent; `std` is None where none is printed."""

    mean: float
    std: float | None


def known_as(dataset: str) -> str:
    """The name of a dataset in published tables: the last part of a path, so "data/CIFAR-10" is
    cifar10. Only the name is compared, not the images."""
    return re.sub("[-_ ]", "", Path(dataset).stem).lower()


def published(dataset: str, ipc: int, method: str, network: str) -> Published | None:
    """The published figure, if there is one.

    method: datm, mtt, …; a selection of real images (random, forgetting); or full, which has one
    figure for every ipc.
    """
    stated = _tables().get(known_as(dataset), {}).get(network, {}).get(method)
    if isinstance(stated, dict):
        stated = stated.get(str(ipc))
    if stated is None:
        return None
    mean, std = stated if isinstance(stated, list) else (stated, None)
    return Published(mean, std)


def source() -> str:
    """Where the figures are printed."""
    return str(_tables()["source"])


def departures(config: Config, method: str = presets.DATM) -> list[str]:
    """How a run's settings differ from the published ones, as "network.width 32, not 128".

    method: as `published` takes it, or a window, whose published settings are DATM's but for the
    window. Empty where no preset has the published settings.
    """
    dataset, ipc = known_as(config.dataset.name), config.distill.ipc
    own, row = f"{dataset}-{method}-ipc{ipc}", f"{dataset}-ipc{ipc}"
    name = own if own in presets.names() else row
    if name not in presets.names():
        return []
    chosen, ignored = ChosenSettings.preset(name), set(_IGNORED)
    texts = []
    if method not in presets.methods():
        ignored |= {f"distill.{key}" for key in WINDOW}
    elif method != presets.DATM and name == row:
        texts.append(f"as DATM's and not {method}'s own, which no preset has")
        chosen = with_method(chosen, method)
    changed = differences(build(chosen.tables, name), config)
    return texts + [
        f"{key} {ours}, not {theirs}"
        for key, (theirs, ours) in changed.items()
        if key not in ignored
    ]


@cache
def _tables() -> dict[str, Any]:
    return read_toml(presets.folder() / "published.toml")
