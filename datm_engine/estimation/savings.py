"""Cheaper settings for a run that takes long: what each saves, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from datm_engine.estimation.machine_speed import MachineSpeed
from datm_engine.estimation.stage_costs import run_cost
from datm_engine.estimation.workload import Workload
from datm_engine.settings.config import Config

LEAST_SHARE = 0.1  # of the run's time that a saving is worth mentioning for
FEWEST_EXPERTS, NARROW = 4, 32


@dataclass(frozen=True)
class Saving:
    """A setting ("table.key") and its cheaper value; seconds and bytes on disk that it saves; what
    it costs, in words."""

    key: str
    value: Any
    seconds: float
    disk: int
    price: str


def savings(workload: Workload, speed: MachineSpeed, compiling: str = "auto") -> list[Saving]:
    """Cheaper settings, each taken alone, the largest saving of time first."""
    now, found = run_cost(workload, speed, compiling), []
    for key, value, price in _cheaper(workload.config):
        table, _, name = key.partition(".")
        config = workload.config.with_values({table: {name: value}}, "a cheaper setting")
        cost = run_cost(replace(workload, config=config), speed, compiling)
        seconds, disk = now.seconds - cost.seconds, now.disk - cost.disk
        if seconds >= LEAST_SHARE * now.seconds:
            found.append(Saving(key, value, seconds, disk, price))
    return sorted(found, key=lambda saving: -saving.seconds)


def _cheaper(config: Config) -> Iterator[tuple[str, Any, str]]:
    experts, evaluate = config.experts, config.evaluate
    if experts.imported is None and experts.count > FEWEST_EXPERTS:
        fewer = max(FEWEST_EXPERTS, experts.count // 4)
        yield "experts.count", fewer, f"the set follows {fewer} trajectories, not {experts.count}"
    is_longer = config.snapshot_epochs > config.epochs_needed and not experts.early_stop
    if experts.imported is None and is_longer:
        yield (
            "experts.epochs",
            "window",
            f"soft labels come from epoch {config.epochs_needed}, not {config.snapshot_epochs}",
        )
    if config.network.width > NARROW:
        yield "network.width", NARROW, "a smaller network, which gets fewer images right"
    if config.distill.iterations >= 1000:
        fewer = config.distill.iterations // 4
        yield "distill.iterations", fewer, "the images are learned less far"
    if "full" in evaluate.against:
        others = [name for name in evaluate.against if name != "full"]
        yield "evaluate.against", others, "no accuracy of all images to compare with"
