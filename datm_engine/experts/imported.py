"""Experts that were trained by another code: a set in a folder NAME-FINGERPRINT.

Its experts.json states where it came from and what it is taken to be. `experts.imported` names the
folder. The set is matched as it is; no expert is added.
"""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic.dataclasses import dataclass

from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import parse_json, save_text, validated
from datm_engine.hints import command
from datm_engine.networks.weights import Layout
from datm_engine.settings.config import Config


@dataclass(frozen=True)
class Origin:
    """files: the name of each and the sha256 of its content. The rest is what the experts are taken
    to be, and what a run that matches them must agree with."""

    files: dict[str, str]
    dataset: str
    classes: int
    preprocessing: str
    zca_regularization: float
    network: dict[str, Any]
    epochs: int
    format: Literal["datm-imported-experts/1"] = "datm-imported-experts/1"


def write_origin(folder: Path, origin: Origin, count: int) -> None:
    """Write experts.json. Raises FileError."""
    text = json.dumps({**asdict(origin), "count": count}, indent=2)
    save_text(folder / "experts.json", text + "\n")


def open_imported(
    config: Config, dataset: str, classes: int, layout: Layout, experts_dir: Path
) -> ExpertSet:
    """The set that `config.experts.imported` names, with its files checked.

    Raises ConfigError if it does not exist, has too few experts or epochs, or disagrees with the
    run; FileError for a damaged expert, and for one whose weights do not change.
    """
    folder = experts_dir / str(config.experts.imported)
    origin, count = origin_of(folder)
    # What each key is in the set, and in the run.
    pairs = {
        "dataset": (origin.dataset, config.dataset.name),
        "classes": (origin.classes, classes),
        "dataset.preprocessing": (origin.preprocessing, config.dataset.preprocessing),
        "network": (origin.network, config.network.model_dump()),
    }
    if config.dataset.preprocessing == "zca":
        regularization = config.dataset.zca_regularization
        pairs["dataset.zca_regularization"] = (origin.zca_regularization, regularization)
    for key, (theirs, ours) in pairs.items():
        if theirs != ours:
            raise ConfigError(
                f"the experts in {folder} are of {key} {theirs}, and {dataset} is to be distilled "
                f"with {ours}",
                Setting("experts.imported", "none"),
            )
    if config.experts.count > count:
        wrong = f"{folder} has {count} experts, not {config.experts.count}"
        raise ConfigError(wrong, Setting("experts.count", count))
    if config.epochs_needed > origin.epochs:
        most = origin.epochs - config.distill.expert_epochs + 1
        raise ConfigError(
            f"{folder} has {origin.epochs} epochs, and the window needs {config.epochs_needed}",
            Setting("distill.max_start_epoch", most),
        )
    experts = ExpertSet(folder, layout, origin.epochs)
    if len(experts.ready(config.experts.count)) < config.experts.count:
        raise FileError(f"{folder} lacks some of its {count} experts", command("ls", folder))
    for expert in range(config.experts.count):
        if torch.equal(*experts.segment(expert, 0, origin.epochs)):
            raise FileError(
                f"{experts.path(expert)} does not move: its first and last snapshots are the same, "
                "so there is no trajectory to match",
                Setting("experts.imported", "none"),
            )
    return experts


def origin_of(folder: Path) -> tuple[Origin, int]:
    """The origin of the set in a folder, and how many experts it has. Raises ConfigError if there
    is none, FileError if experts.json is damaged."""
    path = folder / "experts.json"
    try:
        facts = parse_json(path.read_text(encoding="utf-8"))
        count = facts.pop("count")
        origin = validated(Origin, facts)
        if not folder.name.endswith(f"-{fingerprint(asdict(origin))}"):
            raise ValueError("its content was changed (the fingerprint differs)")
        return origin, int(count)
    except OSError as problem:
        raise ConfigError(
            f"{path}: {problem.strerror}: no set was imported under that name",
            command("ls", folder.parent),
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        wrong = f"{path} does not describe imported experts: {problem}"
        raise FileError(wrong, command("ls", "-l", folder)) from None
