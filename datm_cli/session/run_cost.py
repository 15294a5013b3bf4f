"""What a run costs, before it begins: its workload, the machine's speed, and the question whether
to start a long one."""

from __future__ import annotations

import math
import os
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from datm_cli.options import ComputeOptions
from datm_cli.text import output
from datm_cli.text.cost_report import cost_table, savings_table
from datm_cli.text.escapes import printable
from datm_cli.text.waiting import waiting
from datm_engine.compute.requested import parse_memory
from datm_engine.compute.threads import parse_threads, run_work, thread_count
from datm_engine.estimation.machine_speed import MachineSpeed, SpeedCache
from datm_engine.estimation.savings import Saving, savings
from datm_engine.estimation.stage_costs import RunCost, run_cost
from datm_engine.estimation.workload import Workload
from datm_engine.files import parse_json
from datm_engine.formatting import duration
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import at_resolution

if TYPE_CHECKING:
    from datm_engine.runs.directory import Folders
    from datm_engine.settings.resolved import Resolved

LONG_SECONDS, LARGE_BYTES = 600.0, 2e9  # more is confirmed before it is started
_ASSUMED = 50_000  # training images of a dataset whose number only loading it shows


@dataclass(frozen=True)
class RunEstimate:
    """source: of the settings. images_assumed: the number of training images is a guess."""

    source: str
    workload: Workload
    speed: MachineSpeed
    compiling: str
    cost: RunCost
    images_assumed: bool

    @property
    def title(self) -> str:
        guess = " (a guess)" * self.images_assumed
        return f"{self.source}, {self.workload.images:,} images to train on{guess}"

    @property
    def is_long(self) -> bool:
        return self.cost.seconds > LONG_SECONDS or self.cost.disk > LARGE_BYTES

    def savings(self) -> list[Saving]:
        return savings(self.workload, self.speed, self.compiling)


def estimate(
    resolved: Resolved, folders: Folders, compute: ComputeOptions, trained: int | None = None
) -> RunEstimate:
    """The cost of a run with these settings. trained: experts that are there; None: as many as are
    on disk. Measures the machine's speed where it is not cached. Raises DatmError."""
    workload, assumed = workload_of(resolved, folders, compute)
    if trained is not None:
        workload = replace(workload, trained=trained)
    speed = machine_speed(compute, folders.data, run_work(resolved.config, resolved.shape))
    cost = run_cost(workload, speed, compute.compiling)
    return RunEstimate(resolved.source, workload, speed, compute.compiling, cost, assumed)


def confirm(estimated: RunEstimate) -> None:
    """Show what a run costs that takes more than `LONG_SECONDS` or `LARGE_BYTES`, with cheaper
    settings beside it, and ask whether to start it. Raises typer.Exit where it is not to start."""
    if not estimated.is_long:
        return
    screen = output.remarks()
    screen.print(cost_table(estimated.cost, printable(estimated.title)))
    if saved := estimated.savings():
        screen.print()
        screen.print(savings_table(saved))
    screen.print()
    if not typer.confirm(f"start? it takes about {duration(estimated.cost.seconds)}", err=True):
        output.remark("nothing was started; --yes starts it without the question")
        raise typer.Exit(1)


def workload_of(
    resolved: Resolved, folders: Folders, compute: ComputeOptions
) -> tuple[Workload, bool]:
    """The workload of a run, and whether its number of training images is a guess."""
    from datm_engine.data import datasets
    from datm_engine.data.description import remaining
    from datm_engine.data.image_sets import TrainingCounts

    config, dataset = resolved.config, resolved.config.dataset
    shape = resolved.shape
    if shape is None:
        peeked = datasets.peek(dataset.name, data_dir=folders.data)
        shape = at_resolution(peeked, dataset.resolution)
    known = datasets.training_counts(dataset.name, data_dir=folders.data)
    assumed = TrainingCounts.of_counts((_ASSUMED // shape.classes,) * shape.classes)
    images = int(remaining(known or assumed, dataset).sum())
    workload = Workload(
        config,
        shape.assumed_size,
        shape.classes,
        images,
        held_out=round(images * dataset.validation / (1 - dataset.validation)),
        graph_memory=_graph_memory(compute.memory),
        trained=_trained_experts(config, folders.experts),
        derives=bool(resolved.derive),
    )
    return workload, known is None


def machine_speed(compute: ComputeOptions, data_dir: Path, work: float = math.inf) -> MachineSpeed:
    """The speed of this machine, from the cache or measured, which loads torch and takes seconds.
    work: multiply-adds of a step, which the number of threads follows."""
    cache = SpeedCache(data_dir)
    threads = parse_threads(compute.threads) or thread_count(work)
    key = cache.key(compute.device or "auto", compute.precision, threads)
    if (speed := cache.read(key)) is not None:
        return speed
    from datm_engine.calibration.machine_probe import measure_speed

    measuring = "measuring the speed of this machine, once, for about 5 s"
    if not sys.stderr.isatty():
        output.remark(f"{measuring} …")
    with waiting(measuring):
        speed = measure_speed(compute.start(work=work))
    cache.write(key, speed)
    return speed


def _graph_memory(memory: str) -> int:
    """Bytes for graphs that are kept: as stated, or a quarter of this machine's memory for "auto",
    which a run takes where half as much is free."""
    stated = parse_memory(memory)
    if stated is not None:
        return stated
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def _trained_experts(config: Config, experts_dir: Path) -> int:
    """How many experts of these settings are on disk, by the names of dataset and settings: their
    folder's own name also covers the images, which are not loaded yet."""
    wanted = {
        "dataset": Path(config.dataset.name).stem,
        "network": config.network.model_dump(),
        "experts": config.experts.facts(),
        "epochs": config.snapshot_epochs,
    }
    most = 0
    for described in experts_dir.glob("*/experts.json"):
        try:
            facts = parse_json(described.read_text(encoding="utf-8"))
        except (OSError, ValueError):  # the run itself reports it
            continue
        if isinstance(facts, dict):
            facts["dataset"] = Path(str(facts.get("dataset"))).stem
            if all(facts.get(key) == value for key, value in wanted.items()):
                most = max(most, len(list(described.parent.glob("expert-*.safetensors"))))
    return min(most, config.experts.count)
