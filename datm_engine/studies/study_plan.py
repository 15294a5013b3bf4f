"""Plan a study: which runs it consists of, and which settings each of them has.

The runs differ in what is studied, and in nothing else. All have experts of the same number of
epochs, so that runs whose experts are trained alike share them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from datm_engine.settings.config import Config
from datm_engine.settings.derived.window_rules import THIRDS, third
from datm_engine.settings.resolved import fixed_window

MAX_NAME = 60  # letters of a study's name, which begins the names of its runs
EVERY_LOSS = 1e9  # a threshold that no loss exceeds
STRIP_SAMPLES = 5  # pictures of an image on its way, beside the first one
# Baselines of real images that no expert chooses. Every method is compared with them.
WITHOUT_EXPERTS = ("random", "full")


@dataclass(frozen=True)
class PlannedRun:
    """A run of a study. variant: its window or its method."""

    name: str
    ipc: int
    variant: str
    config: Config

    @property
    def window(self) -> str:
        """The first and the last start epoch."""
        settings = self.config.distill
        return f"{settings.min_start_epoch}–{settings.max_start_epoch - 1}"


@dataclass(frozen=True)
class StudyPlan:
    """The runs of a study, in their order. notes: choices made for the user, with their reasons."""

    kind: Literal["window", "methods"]
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
        """The selections of real images to compare with: "random", "full" and others."""
        selections = (name for run in self.runs for name in run.config.evaluate.against)
        return tuple(dict.fromkeys(selections))

    @property
    def dataset(self) -> str:
        return self.runs[0].config.dataset.name


def plan_windows(name: str, configs: Mapping[int, Config]) -> StudyPlan:
    """For each ipc, a run for the early, the middle and the late third of the start epochs.

    configs: ipc → settings, whose window is replaced. Raises ConfigError if the experts have too
    few epochs for thirds.
    """
    configs, notes = _with_shared_experts(configs)
    runs = []
    for ipc, config in configs.items():
        for variant in THIRDS:
            window = third(config.snapshot_epochs, config.distill.expert_epochs, variant)
            windowed = with_settings(config, **fixed_window(*window))
            runs.append(_planned(name, ipc, variant, windowed))
    epochs = runs[0].config.snapshot_epochs
    notes.append(f"early, middle and late are thirds of the same {epochs} epochs of every expert")
    if all(run.config.distill.threshold == EVERY_LOSS for run in runs):
        notes.append(
            "every step is taken, whatever its loss: late segments are short, and begin above the "
            "threshold (distill.threshold = 1 refuses such steps)"
        )
    return StudyPlan("window", name, tuple(runs), tuple(notes))


def plan_methods(name: str, configs: Mapping[tuple[str, int], Config]) -> StudyPlan:
    """For each ipc, a run for each method. configs: (method, ipc) → settings, in the order of the
    methods."""
    epochs = max(config.snapshot_epochs for config in configs.values())
    methods = list(dict.fromkeys(method for method, _ in configs))
    runs = []
    for ipc in sorted({ipc for _, ipc in configs}):
        for method in methods:
            # Of equal length, so that methods whose experts are trained alike share them.
            config = with_settings(configs[method, ipc], experts={"epochs": epochs})
            if method != methods[0]:
                # Baselines that experts choose are measured once, with the first method's experts.
                against = [s for s in config.evaluate.against if s in WITHOUT_EXPERTS]
                config = with_settings(config, evaluate={"against": against})
            runs.append(_planned(name, ipc, method, config))
    needed = max(config.epochs_needed for config in configs.values())
    reason = "as many as the longest window here needs"
    if epochs > needed:
        reason = f"the most that one of these asks for; the longest window here needs {needed}"
    trained = f"experts are trained for {epochs} epochs, {reason}"
    plan = StudyPlan("methods", name, tuple(runs), (trained,))
    if chosen := [name for name in plan.selections if name not in WITHOUT_EXPERTS]:
        by_experts = f"{', '.join(chosen)}: chosen by the experts of {methods[0]}"
        plan = replace(plan, notes=(trained, by_experts))
    return plan


def with_settings(config: Config, **tables: dict[str, Any]) -> Config:
    """The settings with `tables` over them. Raises ConfigError."""
    return config.with_values(tables, "the study")


def sample_interval(config: Config) -> int:
    """Iterations between samples, for `STRIP_SAMPLES` pictures after the first one."""
    return max(1, config.distill.iterations // STRIP_SAMPLES)


def _planned(name: str, ipc: int, variant: str, config: Config) -> PlannedRun:
    return PlannedRun(f"study-{name}-ipc{ipc}-{variant}", ipc, variant, config)


def _with_shared_experts(
    configs: Mapping[int, Config],
) -> tuple[dict[int, Config], list[str]]:
    """The settings with one dataset, network and expert training for all: those of the fewest
    images per class, with the most epochs that any of them asks for. The notes say what differed.
    """
    first, *others = (configs[ipc].model_dump() for ipc in sorted(configs))
    shared = {table: first[table] for table in ("dataset", "network", "experts")}
    different = sorted(
        f"{table}.{key}"
        for table, keys in shared.items()
        for key in keys
        if key != "epochs" and any(other[table][key] != keys[key] for other in others)
    )
    # More epochs than a run's window needs cost time only.
    epochs = max(config.snapshot_epochs for config in configs.values())
    shared["experts"] = {**first["experts"], "epochs": epochs}
    notes = []
    if different:
        notes.append(
            f"{', '.join(different)} differ between the settings of these ipc; those of ipc "
            f"{min(configs)} hold for all, as experts are shared"
        )
    return {ipc: with_settings(configs[ipc], **shared) for ipc in sorted(configs)}, notes
