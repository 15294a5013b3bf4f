"""`datm doctor`: what this machine can do, and what a run costs on it."""

from __future__ import annotations

import math
import shutil
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_cli.session.run_cost import RunEstimate
    from datm_engine.compute.runtime import Runtime
    from datm_engine.estimation.machine_speed import MachineSpeed
    from datm_engine.estimation.stage_costs import RunCost
    from datm_engine.runs.directory import Folders


def doctor(
    *,
    settings: options.SettingOptions,
    compute: options.ComputeOptions,
    storage: options.StorageOptions,
    measure: Annotated[
        bool,
        typer.Option(
            "--measure",
            help="Try the compiler, and time a preset's own steps at their own batches: minutes.",
        ),
    ] = False,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
) -> None:
    """Report device, precision, compiler, memory and disk; with a preset, its cost here."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session import run_cost
    from datm_cli.text import output
    from datm_engine.compute.threads import run_work

    folders = storage.folders(runs_dir)
    resolved = None
    if settings.preset or settings.dataset or settings.method or settings.window:
        resolved = GivenSettings(**vars(settings), data_dir=folders.data).resolve()
    # The number of threads follows the work of a step; without settings all cores are used.
    work = run_work(resolved.config, resolved.shape) if resolved else math.inf
    on = compute.start(work=work)
    speed = run_cost.machine_speed(compute, folders.data, work)
    machine = _machine(on, folders, speed, measure=measure)
    estimated = run_cost.estimate(resolved, folders, compute, trained=0) if resolved else None
    if estimated and measure:
        estimated = replace(estimated, cost=_measured(estimated, on, as_json=as_json))
    if not as_json:
        _print(machine, estimated, measured=measure)
        return
    cost: dict[str, Any] = {}
    if estimated:
        cost = {
            "settings": estimated.source,
            "training_images": estimated.workload.images,
            "training_images_assumed": estimated.images_assumed,
            "measured": measure,
            "stages": [asdict(stage) for stage in estimated.cost.stages],
        }
    output.print_json(machine | cost)


def _machine(
    on: Runtime, folders: Folders, speed: MachineSpeed, *, measure: bool
) -> dict[str, Any]:
    """What this machine can do. Sizes are in bytes. flops: floating point operations a second.
    bandwidth: bytes a second that a step's kernels read and write."""
    import torch

    from datm_engine.calibration.step_timing import compiler_fault
    from datm_engine.compute.runtime import free_memory

    compiler = "not tried; --measure compiles a function"
    if measure:
        fault = compiler_fault(on)
        compiler = f"fails, steps run without it: {fault}" if fault else "works"
    return {
        "device": on.description,
        "torch": torch.__version__,
        "precision": on.precision,
        "compiler": compiler,
        "flops": 1 / speed.flop if speed.flop else None,
        "bandwidth": 1 / speed.byte if speed.byte else None,
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


def _measured(estimated: RunEstimate, on: Runtime, *, as_json: bool) -> RunCost:
    from datm_cli.text import output
    from datm_cli.text.progress import reader
    from datm_engine.calibration.step_timing import measured_cost

    workload = replace(estimated.workload, graph_memory=on.memory)
    with reader(output.remarks(), silent=as_json) as screen:
        return measured_cost(workload, on, emit=screen.read)


def _print(machine: dict[str, Any], estimated: RunEstimate | None, *, measured: bool) -> None:
    from datm_cli.text import output
    from datm_cli.text.cost_report import cost_table
    from datm_cli.text.escapes import printable
    from datm_cli.text.tables import fact_table
    from datm_engine.formatting import byte_size

    free, graphs = (byte_size(machine[key]) for key in ("memory_free", "memory_for_graphs"))
    names = ("device", "torch", "precision", "compiler")
    speeds = [
        f"{machine['flops'] / 1e9:,.0f} GFLOP/s" if machine["flops"] else "",
        f"{byte_size(machine['bandwidth'])}/s" if machine["bandwidth"] else "",
    ]
    rows = [
        *((name, printable(machine[name])) for name in names),
        ("speed", ", ".join(filter(None, speeds))),
        ("memory", f"{free} free, {graphs} of it for graphs"),
        *(("disk", f"{byte_size(n)} free for {of}") for of, n in machine["disk_free"].items()),
    ]
    console = output.results()
    console.print(fact_table(rows))
    if estimated is None:
        console.print("what a preset costs here: datm doctor --preset cifar10-small-ipc1")
        return
    by = "timed steps, without compiling" if measured else "counted operations"
    console.print()
    console.print(cost_table(estimated.cost, f"{printable(estimated.title)}, by {by}"))
