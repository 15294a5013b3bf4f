"""`datm doctor`: what this machine can do, and what a preset would take on it."""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli import options
from datm_engine.formatting import byte_size, duration

if TYPE_CHECKING:
    from datm_engine.compute.runtime import Runtime
    from datm_engine.pipeline import Folders
    from datm_engine.settings.resolved import Resolved

_ASSUMED = 50_000  # training images, where only reading the dataset would tell


def doctor(
    dataset: options.Dataset = None,
    ipc: options.Ipc = None,
    preset: options.Preset = None,
    method: options.Method = None,
    window: options.Window = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    threads: options.Threads = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Report device, precision, compiler, memory and disk; with a preset, its cost here."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.text import output
    from datm_engine.compute.threads import run_work

    folders = options.folders(data_dir, experts_dir, runs_dir)
    settled = None
    if preset or dataset or method or window:
        given = GivenSettings(
            data_dir=folders.data,
            dataset=dataset,
            ipc=ipc,
            preset=preset,
            config_file=config_file,
            assignments=assignments or [],
            method=method,
            window=window,
        )
        settled = given.resolve()
    work = run_work(settled.config, settled.shape) if settled else math.inf
    on = options.ComputeOptions(device, precision, compiling, memory, threads).start(work=work)
    told = _machine(on, folders)
    if settled:
        told |= _plan(on, settled, folders.data, as_json)
    if as_json:
        output.print_json(told)
    else:
        _show(told)


def _machine(on: Runtime, folders: Folders) -> dict[str, Any]:
    import torch

    from datm_engine.calibration.cost import compiler_fault
    from datm_engine.compute.runtime import free_memory

    fault = compiler_fault(on)
    places = {"data": folders.data, "experts": folders.experts, "runs": folders.runs}
    return {
        "device": on.description,
        "torch": torch.__version__,
        "precision": on.precision,
        "compiler": "works" if not fault else f"fails, steps run without it: {fault}",
        "memory_free": free_memory(on.device),
        "memory_for_graphs": on.memory,
        "disk_free": {name: _free_disk(place) for name, place in places.items()},
    }


def _free_disk(folder: Path) -> int:
    """Bytes free where a folder is, or will be."""
    folder = folder.expanduser().resolve()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _plan(on: Runtime, settled: Resolved, data_dir: Path, as_json: bool) -> dict[str, Any]:
    from datm_cli.text import output
    from datm_cli.text.progress import reader
    from datm_engine.calibration.cost import estimate
    from datm_engine.data import datasets
    from datm_engine.data.built_in import BuiltIn
    from datm_engine.data.class_sizes import remaining
    from datm_engine.settings.image_size import at_resolution

    config, dataset = settled.config, settled.config.dataset
    shape = datasets.peek(dataset.name, data_dir=data_dir)
    shape = at_resolution(shape, dataset.resolution)
    size = (shape.height or 32, shape.width or 32)
    known = datasets.training_labels(dataset.name, data_dir=data_dir)
    each = (_ASSUMED // shape.classes,) * shape.classes
    images = remaining(known or BuiltIn(shape, each).training_labels, dataset).total
    with reader(output.remarks(), silent=as_json) as screen:
        stages = estimate(
            config, (shape.channels or 3, *size), shape.classes, images, on, emit=screen.read
        )
    return {
        "settings": settled.source,
        "training_images": images,
        "training_images_assumed": known is None,
        "stages": [asdict(stage) for stage in stages],
    }


def _show(told: dict[str, Any]) -> None:
    from rich.table import Table

    from datm_cli.text import output
    from datm_cli.text.escapes import printable

    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_row("device", printable(told["device"]))
    facts.add_row("torch", told["torch"])
    facts.add_row("precision", told["precision"])
    facts.add_row("compiler", printable(told["compiler"]))
    graphs = byte_size(told["memory_for_graphs"])
    facts.add_row("memory", f"{byte_size(told['memory_free'])} free, {graphs} of it for graphs")
    for name, free in told["disk_free"].items():
        facts.add_row("disk", f"{byte_size(free)} free for {name}")
    console = output.results()
    console.print(facts)
    if "stages" not in told:
        console.print("what a preset takes here: datm doctor --preset cifar10-small-ipc1")
        return
    images = f"{told['training_images']:,} images to train on"
    if told["training_images_assumed"]:
        images += f" (of {_ASSUMED:,}, which is a guess)"
    console.print(f"\n{printable(told['settings'])}, {images}, all anew:")
    table = Table(box=None, pad_edge=False)
    for column in ("stage", "time, without compiling", "memory", "disk"):
        table.add_column(column, justify="left" if column == "stage" else "right")
    for stage in told["stages"]:
        disk = byte_size(stage["disk"]) if stage["disk"] else ""
        table.add_row(stage["stage"], duration(stage["seconds"]), byte_size(stage["memory"]), disk)
    console.print(table)
