"""`datm doctor`: what this machine can do, and what a run costs on it."""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.compute.runtime import Runtime
    from datm_engine.pipeline import Folders
    from datm_engine.settings.resolved import Resolved

_ASSUMED = 50_000  # training images of a dataset whose number only loading it shows


def doctor(
    *,
    settings: options.SettingOptions,
    compute: options.ComputeOptions,
    storage: options.StorageOptions,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Report device, precision, compiler, memory and disk; with a preset, its cost here."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.text import output
    from datm_engine.compute.threads import run_work

    folders = storage.folders(runs_dir)
    resolved = None
    if settings.preset or settings.dataset or settings.method or settings.window:
        resolved = GivenSettings(**vars(settings), data_dir=folders.data).resolve()
    # The number of threads follows the work of a step; without settings all cores are used.
    on = compute.start(work=run_work(resolved.config, resolved.shape) if resolved else math.inf)
    machine = _machine(on, folders)
    cost = _cost(on, resolved, folders.data, as_json) if resolved else {}
    if as_json:
        output.print_json(machine | cost)
    else:
        _print(machine, cost)


def _machine(on: Runtime, folders: Folders) -> dict[str, Any]:
    """What this machine can do. Sizes are in bytes."""
    import torch

    from datm_engine.calibration.cost import compiler_fault
    from datm_engine.compute.runtime import free_memory

    fault = compiler_fault(on)
    return {
        "device": on.description,
        "torch": torch.__version__,
        "precision": on.precision,
        "compiler": f"fails, steps run without it: {fault}" if fault else "works",
        "memory_free": free_memory(on.device),
        "memory_for_graphs": on.memory,
        "disk_free": {name: _free_disk(folder) for name, folder in vars(folders).items()},
    }


def _free_disk(folder: Path) -> int:
    """Bytes free where a folder is, or will be."""
    folder = folder.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _cost(on: Runtime, settings: Resolved, data_dir: Path, as_json: bool) -> dict[str, Any]:
    """What settings cost here, a stage each. training_images_assumed: their number is a guess."""
    from datm_cli.text import output
    from datm_cli.text.progress import reader
    from datm_engine.calibration.cost import estimate
    from datm_engine.data import datasets
    from datm_engine.data.description import remaining
    from datm_engine.data.image_sets import TrainingLabels
    from datm_engine.settings.image_size import at_resolution

    config, dataset = settings.config, settings.config.dataset
    shape = datasets.peek(dataset.name, data_dir=data_dir)
    shape = at_resolution(shape, dataset.resolution)
    # Where only decoding shows it: colour images of 32×32.
    size = (shape.channels or 3, shape.height or 32, shape.width or 32)
    known = datasets.training_labels(dataset.name, data_dir=data_dir)
    assumed = TrainingLabels.of_counts((_ASSUMED // shape.classes,) * shape.classes)
    images = int(remaining(known or assumed, dataset).sum())
    with reader(output.remarks(), silent=as_json) as screen:
        stages = estimate(config, size, shape.classes, images, on, emit=screen.read)
    return {
        "settings": settings.source,
        "training_images": images,
        "training_images_assumed": known is None,
        "stages": [asdict(stage) for stage in stages],
    }


def _print(machine: dict[str, Any], cost: dict[str, Any]) -> None:
    from datm_cli.text import output
    from datm_cli.text.escapes import printable
    from datm_cli.text.tables import fact_table, plain_table
    from datm_engine.formatting import byte_size, duration

    free, graphs = (byte_size(machine[key]) for key in ("memory_free", "memory_for_graphs"))
    names = ("device", "torch", "precision", "compiler")
    rows = [
        *((name, printable(machine[name])) for name in names),
        ("memory", f"{free} free, {graphs} of it for graphs"),
        *(("disk", f"{byte_size(n)} free for {of}") for of, n in machine["disk_free"].items()),
    ]
    console = output.results()
    console.print(fact_table(rows))
    if not cost:
        console.print("what a preset costs here: datm doctor --preset cifar10-small-ipc1")
        return
    images = f"{cost['training_images']:,} images to train on"
    if cost["training_images_assumed"]:
        images += f" (of {_ASSUMED:,}, which is a guess)"
    console.print(f"\n{printable(cost['settings'])}, {images}, all anew:")
    figures = ("time, without compiling", "memory", "disk")
    table = plain_table("stage", *figures, right=figures)
    for stage in cost["stages"]:
        disk = byte_size(stage["disk"]) if stage["disk"] else ""
        seconds, memory = duration(stage["seconds"]), byte_size(stage["memory"])
        table.add_row(stage["stage"], seconds, memory, disk)
    console.print(table)
