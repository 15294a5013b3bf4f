"""Published accuracies to stand beside one's own, and where a run's settings depart from theirs.

The figures are in `presets/published.toml`; the settings they are of, in the preset of the same
dataset and images per class.
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

# Names and seeds, what is looked at on the way, and what stands beside the set.
_ASIDE = {
    *("dataset.name", "dataset.seed", "experts.seed", "distill.seed", "distill.sample_interval"),
    *("distill.checkpoint_seconds", "distill.max_refusals", "evaluate.networks"),
    *("evaluate.against", "evaluate.full_epochs", "evaluate.full_repeats", "evaluate.real_lr"),
}


@dataclass(frozen=True)
class Published:
    """Percent; `std` is None where none is printed."""

    mean: float
    std: float | None


def known_as(dataset: str) -> str:
    """The name that its figures are published by: a folder's, a file's or the Hub's last part, so
    that "data/CIFAR-10" is cifar10. Nothing but the name says that it holds those images."""
    return re.sub("[-_ ]", "", Path(dataset).stem).lower()


def published(dataset: str, ipc: int, method: str, network: str) -> Published | None:
    """The figure of that cell, if there is one. `method`: datm, mtt, …, a selection of real
    images (random, forgetting), or full, whose figure is the same for every ipc."""
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
    """How a run's settings differ from those of the preset of the published row, as "network.width
    32, not 128"; nothing where no preset states them. `method`: as `published` takes it, or a
    window, whose published settings are DATM's but for the window."""
    dataset, ipc = known_as(config.dataset.name), config.distill.ipc
    own, row = f"{dataset}-{method}-ipc{ipc}", f"{dataset}-ipc{ipc}"
    name = own if own in presets.names() else row
    if name not in presets.names():
        return []
    chosen = ChosenSettings.preset(name)
    aside = _ASIDE
    told = []
    if method not in presets.methods():
        aside = aside | {f"distill.{key}" for key in WINDOW}
    elif method != presets.DATM and name == row:
        told.append(f"as DATM's and not {method}'s own, which no preset has")
        chosen = with_method(chosen, method)
    found = differences(build(chosen.tables, name), config)
    told += [
        f"{path} {ours}, not {theirs}"
        for path, (theirs, ours) in found.items()
        if path not in aside
    ]
    return told


@cache
def _tables() -> dict[str, Any]:
    return read_toml(presets.folder() / "published.toml")
