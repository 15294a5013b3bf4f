"""Which runs a study takes: each an ordinary run, with a name that says what it is.

All runs of a study have experts of the same length, so that what trains them in the same way
matches the same trajectories, and these are trained once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datm_engine.runs.names import made
from datm_engine.settings.config import Config, build, overlay
from datm_engine.settings.derived.window_rules import THIRDS, third

WINDOWS = THIRDS
LONGEST = 60  # letters of a study's name, which its runs' names hold
NEVER = 1e9  # a threshold that no loss is above
SAMPLES = 5  # pictures of an image on its way, beside how it starts
# Rows of real images that no expert has a part in, and that every method is compared with.
OF_IMAGES_ALONE = ("random", "full")


@dataclass(frozen=True)
class PlannedRun:
    """`variant`: the window, or the method, that it shows."""

    name: str
    ipc: int
    variant: str
    config: Config

    @property
    def window(self) -> str:
        """The first and the last epoch that it may start from."""
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
        return tuple(self.runs[0].config.evaluate.networks)

    @property
    def selections(self) -> tuple[str, ...]:
        """The real images that are compared with."""
        return tuple(dict.fromkeys(s for run in self.runs for s in run.config.evaluate.against))

    @property
    def dataset(self) -> str:
        return self.runs[0].config.dataset.name


def study_name(dataset: str) -> str:
    """A short name from a dataset's: a folder's or a file's own for a path."""
    return made(Path(dataset).stem or "images", most=LONGEST)


def plan_windows(name: str, configs: Mapping[int, Config]) -> Plan:
    """For each ipc a run of the early, the middle and the late third of the same trajectories.

    configs: ipc → its settings, whose window is replaced. Raises ConfigError where the
    trajectories are too short for thirds.
    """
    configs, notes = _sharing_experts(configs)
    runs = []
    for ipc, config in configs.items():
        for which in WINDOWS:
            lower, initial, final = third(
                config.snapshot_epochs, config.distill.expert_epochs, which
            )
            window = {
                "min_start_epoch": lower,
                "initial_max_start_epoch": initial,
                "max_start_epoch": final,
                "expansion_iterations": 0,
            }
            runs.append(_planned(name, ipc, which, _over(config, distill=window)))
    epochs = runs[0].config.snapshot_epochs
    thirds = f"early, middle and late are thirds of the same {epochs} epochs of every expert"
    told = [*notes, thirds]
    if all(run.config.distill.threshold == NEVER for run in runs):
        told.append(
            "every step is taken, whatever its loss: late segments are short, and begin above the "
            "threshold (--set distill.threshold=1 refuses such steps)"
        )
    return Plan("window", name, tuple(runs), tuple(told))


def plan_methods(name: str, configs: Mapping[tuple[str, int], Config]) -> Plan:
    """For each ipc a run of every method. configs: (method, ipc) → its settings, the methods in
    the order in which they are to stand."""
    longest = max(config.snapshot_epochs for config in configs.values())
    methods = list(dict.fromkeys(method for method, _ in configs))
    runs = []
    for ipc in sorted({ipc for _, ipc in configs}):
        for method in methods:
            config = _over(configs[method, ipc], experts={"epochs": longest})
            if method != methods[0]:
                alone = [s for s in config.evaluate.against if s in OF_IMAGES_ALONE]
                config = _over(config, evaluate={"against": alone})
            runs.append(_planned(name, ipc, method, config))
    needed = max(config.epochs_needed for config in configs.values())
    why = "as many as the longest window here needs"
    if longest > needed:
        why = f"the most that one of these asks for; the longest window here needs {needed}"
    notes = [f"experts are trained for {longest} epochs, {why}"]
    plan = Plan("methods", name, tuple(runs), ())
    if chosen := [s for s in plan.selections if s not in OF_IMAGES_ALONE]:
        notes.append(
            f"{', '.join(chosen)}: chosen by what the experts of {methods[0]} make of them"
        )
    return Plan("methods", name, tuple(runs), tuple(notes))


def with_samples(config: Config) -> Config:
    """The same with its pictures saved so often that a strip of them has `SAMPLES` and the
    start."""
    return _over(config, distill={"sample_interval": max(1, config.distill.iterations // SAMPLES)})


def with_every_step(config: Config) -> Config:
    """The same with no step refused for its loss: a late segment is short, so that images which do
    not teach it yet begin far above the threshold, and would never be matched at all."""
    return _over(config, distill={"threshold": NEVER})


def _planned(name: str, ipc: int, variant: str, config: Config) -> PlannedRun:
    return PlannedRun(f"study-{name}-ipc{ipc}-{variant}", ipc, variant, config)


def _sharing_experts(configs: Mapping[int, Config]) -> tuple[dict[int, Config], Sequence[str]]:
    """The same settings with one dataset, network and expert training for all: those of the
    fewest images, and as many epochs as the longest that any asks for."""
    first, *others = (configs[ipc].model_dump() for ipc in sorted(configs))
    epochs = max(config.snapshot_epochs for config in configs.values())
    shared = {table: first[table] for table in ("dataset", "network", "experts")}
    different = sorted(
        f"{table}.{key}"
        for table, keys in shared.items()
        for key in keys
        if key != "epochs" and any(other[table][key] != keys[key] for other in others)
    )
    shared["experts"] = {**first["experts"], "epochs": epochs}
    notes = []
    if different:
        told = f"{', '.join(different)} differ between the settings of these ipc"
        notes.append(f"{told}; those of ipc {min(configs)} hold for all, as experts are shared")
    return {ipc: _over(configs[ipc], **shared) for ipc in sorted(configs)}, notes


def _over(config: Config, **tables: dict[str, Any]) -> Config:
    """The configuration with `tables` over it, and so checked again."""
    return build(overlay(config.model_dump(), tables), "the study")
