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

from datm_engine import presets
from datm_engine.config import Config, read_toml

# What an accuracy depends on whatever the method; a method's own settings are its own.
COMPARED = (
    *(f"dataset.{key}" for key in ("resolution", "train_images", "preprocessing")),
    *(f"network.{key}" for key in ("width", "depth", "norm")),
    *("experts.count", "distill.iterations", "evaluate.epochs"),
)


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


def departures(config: Config) -> list[str]:
    """How a run's settings differ from the published ones, as "network.width 32, not 128"; nothing
    where no preset states what those are."""
    name = f"{known_as(config.dataset.name)}-ipc{config.distill.ipc}"
    if name not in presets.names():
        return []
    theirs, ours = presets.load(name), config.model_dump()
    told = []
    for path in COMPARED:
        table, key = path.split(".")
        if ours[table][key] != theirs[table][key]:
            told.append(f"{path} {ours[table][key]}, not {theirs[table][key]}")
    return told


@cache
def _tables() -> dict[str, Any]:
    return read_toml(presets.folder() / "published.toml")
