"""`datm study`: several runs that differ in one thing, and what they come to together."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_cli.settings import Settings
    from datm_cli.study.asking import Asked
    from datm_cli.study.making import Computing
    from datm_engine.pipeline import Folders
    from datm_engine.study.planning import Plan

study = typer.Typer(
    no_args_is_help=True,
    help="Several runs that differ in one thing, made one after the other and read together.",
)

Ipcs = Annotated[
    str, typer.Option("--ipc", metavar="N,N,…", help="Synthetic images per class, of each run.")
]
Iterations = Annotated[
    int | None, typer.Option(min=1, envvar="DATM_ITERATIONS", help="How many each run has.")
]
Experts = Annotated[
    int | None, typer.Option(min=1, envvar="DATM_EXPERTS", help="How many the runs share.")
]
Networks = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…",
        help="What is trained on each set: convnet, resnet18, vgg11, alexnet, lenet, mlp and "
        "others; the first decides what the findings say.",
    ),
]
Repeats = Annotated[
    int | None, typer.Option(min=1, help="Networks a row, each with weights of its own.")
]
Against = Annotated[
    str | None,
    typer.Option(
        metavar="NAME,…", help="Real images to compare with: random, full and others, or none."
    ),
]
Seed = Annotated[
    int | None, typer.Option(min=0, envvar="DATM_SEED", help="Of the runs (experts, split: own).")
]
Name = Annotated[
    str | None, typer.Option(help="The study's name.  [default: from the dataset]")
]
To = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where the result goes.  [default: studies/NAME]"),
]


@study.command()
def window(
    dataset: options.Dataset = None,
    ipcs: Ipcs = "1,10,50",
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    iterations: Iterations = None,
    experts: Experts = None,
    networks: Networks = None,
    repeats: Repeats = None,
    against: Against = None,
    seed: Seed = None,
    resolution: options.Resolution = None,
    name: Name = None,
    to: To = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Match early, middle and late epochs of the same experts, at several images per class.

    Typed again, the same command goes on where it was stopped.
    """
    from datm_cli.study.asking import Asked, flags
    from datm_cli.study.making import Computing

    folders = options.folders(data_dir, experts_dir, runs_dir)
    own = flags(
        dataset__resolution=resolution,
        distill__iterations=iterations,
        distill__seed=seed,
        experts__count=experts,
        **_evaluated(networks, repeats, against),
    )
    asked = Asked(
        dataset, ipcs, preset, config_file, assignments or [], own, name, folders.data
    )
    plan, origins = asked.windows()
    computing = Computing(device, precision, compiling, memory)
    _carry_out(plan, origins, folders, computing, to, as_json=as_json, quiet=quiet)


@study.command()
def methods(
    dataset: options.Dataset = None,
    ipcs: Ipcs = "1,10,50",
    names: Annotated[
        str, typer.Option("--methods", metavar="NAME,…", help="Ways to distil.")
    ] = "datm,mtt,ftd,tesla",
    against: Against = None,
    networks: Networks = None,
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    iterations: Iterations = None,
    experts: Experts = None,
    repeats: Repeats = None,
    seed: Seed = None,
    resolution: options.Resolution = None,
    name: Name = None,
    to: To = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Compare methods, and selections of real images, at several images per class and on several
    networks, with the published figures beside.

    Typed again, the same command goes on where it was stopped.
    """
    from datm_cli.study.asking import Asked, flags
    from datm_cli.study.making import Computing

    folders = options.folders(data_dir, experts_dir, runs_dir)
    own = flags(
        dataset__resolution=resolution,
        distill__iterations=iterations,
        distill__seed=seed,
        experts__count=experts,
        **_evaluated(networks, repeats, against),
    )
    asked = Asked(
        dataset, ipcs, preset, config_file, assignments or [], own, name, folders.data
    )
    plan, origins = asked.methods(names)
    computing = Computing(device, precision, compiling, memory)
    _carry_out(plan, origins, folders, computing, to, as_json=as_json, quiet=quiet)


def _evaluated(
    networks: str | None, repeats: int | None, against: str | None
) -> dict[str, object]:
    """As `flags` takes them."""
    from datm_cli.study.asking import listed

    return {
        "evaluate__networks": None if networks is None else listed("--networks", networks),
        "evaluate__repeats": repeats,
        "evaluate__full_repeats": repeats,
        "evaluate__against": []
        if against == "none"
        else None
        if against is None
        else listed("--against", against),
    }


def _carry_out(
    plan: Plan,
    origins: dict[str, Settings],
    folders: Folders,
    computing: Computing,
    to: Path | None,
    *,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make the runs, then write and print what there is, whether it is all or not."""
    from datm_cli import output
    from datm_cli.driving import StopRequest
    from datm_cli.study import tables, writing
    from datm_cli.study.making import Making
    from datm_engine.hints import command
    from datm_engine.study.findings import findings
    from datm_engine.study.results import read_study

    silent, folder = quiet or as_json, to or Path("studies") / f"{plan.name}-{plan.kind}"
    with StopRequest(silent=silent).listening() as stop:
        making = Making(plan, origins, folders, computing, stop, silent)
        making.check()
        failed = making.make()
    result = read_study(plan, folders.runs)
    written = writing.write(result, plan, folders.runs, folder)
    if as_json:
        files = {"files": [str(path) for path in written.files]}
        output.print_json({**writing.told(result), **files})
    else:
        console = output.results()
        console.print(tables.drawn(result))
        for text in (*findings(result), *tables.remarks(result)):
            console.print(text, markup=False)
    if not silent:
        for path in written.files:
            output.remarks().print(f"written: {path}", soft_wrap=True, markup=False)
    stopped = making.done() + len(failed) < len(plan.runs)
    if stopped and not silent:
        told = f"stopped with {making.done()} of {len(plan.runs)} runs done; go on with: "
        output.remarks().print(told + command("datm", *sys.argv[1:]), soft_wrap=True, markup=False)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)
    if failed:
        raise failed[0]
