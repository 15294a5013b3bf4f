"""Which runs a study takes: each an ordinary run, with a name that says what it is.

All runs of a study share what makes experts – dataset, network, how and how long they are trained –
so that they match the same trajectories, and these are trained once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from datm_engine.config import Config, build, overlay
from datm_engine.distillation.window import Third, third
from datm_engine.errors import ConfigError

WINDOWS: tuple[Third, ...] = get_args(Third)
WINDOW_KEYS = (
    "min_start_epoch",
    "initial_max_start_epoch",
    "max_start_epoch",
    "expansion_iterations",
)
SAMPLES = 5  # pictures of an image on its way, beside how it starts


@dataclass(frozen=True)
class PlannedRun:
    """`variant`: the window, or the method, that it shows."""

    name: str
    ipc: int
    variant: str
    config: Config

    @property
    def window(self) -> str:
        """The epochs it may start from."""
        settings = self.config.distill
        return f"{settings.min_start_epoch}–{settings.max_start_epoch - 1}"


@dataclass(frozen=True)
class Plan:
    """`kind`: "window" or "methods". `notes`: what was decided for the person, and why."""

    kind: str
    name: str
    runs: tuple[PlannedRun, ...]
    notes: tuple[str, ...]

    @property
    def ipcs(self) -> tuple[int, ...]:
        return tuple(dict.fromkeys(run.ipc for run in self.runs))

    @property
    def variants(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.variant for run in self.runs))

    @property
    def networks(self) -> tuple[str, ...]:
        """The first is the one that candidates are selected by."""
        return tuple(self.runs[0].config.evaluate.networks)

    @property
    def dataset(self) -> str:
        return self.runs[0].config.dataset.name


def study_name(dataset: str) -> str:
    """A short name from a dataset's: a folder's or a file's own for a path."""
    return Path(dataset).stem or "images"


def plan_windows(name: str, configs: Mapping[int, Config]) -> Plan:
    """For each ipc a run of the early, the middle and the late third of the same trajectories.

    configs: ipc → its settings, whose window is replaced. Raises ConfigError where the
    trajectories are too short for thirds.
    """
    configs, notes = _sharing_experts(configs)
    epochs = next(iter(configs.values())).snapshot_epochs
    runs = []
    for ipc, config in configs.items():
        for which in WINDOWS:
            lower, initial, final = third(epochs, config.distill.expert_epochs, which)
            window = dict(zip(WINDOW_KEYS, (lower, initial, final, 0), strict=True))
            runs.append(_planned(name, ipc, which, _over(config, distill=window)))
    thirds = f"early, middle and late are thirds of the same {epochs} epochs of every expert"
    return Plan("window", name, tuple(runs), (*notes, thirds))


def plan_methods(name: str, configs: Mapping[tuple[str, int], Config]) -> Plan:
    """For each method and ipc a run. configs: (method, ipc) → its settings."""
    longest = max(config.snapshot_epochs for config in configs.values())
    runs = [
        _planned(name, ipc, method, _over(config, experts={"epochs": longest}))
        for (method, ipc), config in sorted(configs.items(), key=lambda item: item[0][1])
    ]
    note = f"experts are trained for {longest} epochs, as many as the longest window here needs"
    return Plan("methods", name, tuple(runs), (note,))


def with_samples(config: Config) -> Config:
    """The same with its pictures saved so often that a strip of them has `SAMPLES` and the
    start."""
    return _over(config, distill={"sample_interval": max(1, config.distill.iterations // SAMPLES)})


def check_free(assigned: Mapping[str, Mapping[str, Any]], keys: Iterable[str]) -> None:
    """Raises ConfigError where a setting is asked for that the study itself varies."""
    for key in keys:
        if key in assigned.get("distill", {}):
            raise ConfigError(
                f"--set distill.{key}: this is what the study varies", f"--set distill.{key}="
            )


def parse_ipcs(text: str) -> list[int]:
    """ "1,10,50" → [1, 10, 50], ascending, each once. Raises ConfigError."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if not parts or not all(part.isdecimal() and int(part) > 0 for part in parts):
        raise ConfigError(
            f"--ipc {text}: not numbers of images per class with commas between them",
            "--ipc 1,10,50",
        )
    return sorted({int(part) for part in parts})


def parse_names(option: str, text: str, known: Sequence[str]) -> list[str]:
    """ "datm, mtt" → ["datm", "mtt"], each once and in that order. Raises ConfigError for one that
    is not `known`."""
    names = list(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    unknown = [name for name in names if name not in known]
    if unknown or not names:
        wrong = f"no {unknown[0]}" if unknown else "nothing"
        raise ConfigError(
            f"{option} {text}: {wrong} among {', '.join(known)}", f"{option} {','.join(known)}"
        )
    return names


def _planned(name: str, ipc: int, variant: str, config: Config) -> PlannedRun:
    return PlannedRun(f"study-{name}-ipc{ipc}-{variant}", ipc, variant, config)


def _sharing_experts(configs: Mapping[int, Config]) -> tuple[dict[int, Config], list[str]]:
    """The same settings with one dataset, network and expert training for all: those of the
    fewest images, and as many epochs as the longest that any asks for."""
    first, *others = (configs[ipc] for ipc in sorted(configs))
    epochs = max(config.snapshot_epochs for config in configs.values())
    stated = first.model_dump()
    tables = {
        "dataset": stated["dataset"],
        "network": stated["network"],
        "experts": {**stated["experts"], "epochs": epochs},
    }
    different = sorted(
        f"{table}.{key}"
        for table, keys in tables.items()
        for key in keys.keys() - {"epochs"}
        if any(other.model_dump()[table][key] != stated[table][key] for other in others)
    )
    notes = []
    if different:
        told = f"{', '.join(different)} differ between the settings of these ipc"
        notes.append(f"{told}; those of ipc {min(configs)} hold for all, as experts are shared")
    return {ipc: _over(configs[ipc], **tables) for ipc in sorted(configs)}, notes


def _over(config: Config, **tables: dict[str, Any]) -> Config:
    """The configuration with `tables` over it, and so checked again."""
    return build(overlay(config.model_dump(), tables), "the study")
