"""`datm study`: several runs that differ in one thing, and what they come to together."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_cli.studies.study_runner import Making


def study(
    kind: Annotated[
        str,
        typer.Argument(
            metavar="window|methods",
            help="window: match early, middle and late epochs of the same experts. methods: "
            "compare ways to distil, and selections of real images.",
        ),
    ],
    dataset: options.Dataset = None,
    ipcs: Annotated[
        str, typer.Option("--ipc", metavar="N,N,…", help="Synthetic images per class.")
    ] = "1,10,50",
    methods: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…", help="Of a study of methods.", show_default="all tested alike"
        ),
    ] = None,
    against: Annotated[
        str | None,
        typer.Option(metavar="NAME,…", help="Real images: random, full and others, or none."),
    ] = None,
    networks: Annotated[
        str | None,
        typer.Option(
            metavar="NAME,…",
            help="Trained on each set: convnet, resnet18, vgg11, alexnet, lenet, mlp and others. "
            "What is found is said of the first.",
        ),
    ] = None,
    repeats: Annotated[
        int | None,
        typer.Option(min=1, help="Networks a row, each with weights of its own; of full, too."),
    ] = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_ITERATIONS", help="How many each run has.")
    ] = None,
    experts: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_EXPERTS", help="How many the runs share.")
    ] = None,
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, envvar="DATM_SEED", help="Of the runs (experts, split: their own)."),
    ] = None,
    resolution: options.Resolution = None,
    skip_damaged: options.SkipDamaged = False,
    name: Annotated[
        str | None, typer.Option(help="Begins its runs' names.", show_default="from the dataset")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="For the result.", show_default="in studies/"),
    ] = None,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    threads: options.Threads = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Make several runs that differ in one thing, at several images per class; read them together.

    The runs are ordinary ones, and share experts. What is done is not done again: the same command
    goes on with a study that was stopped.
    """
    from datm_cli.session.run_stage import StopRequest
    from datm_cli.studies import study_files
    from datm_cli.studies.study_request import Asked, listed
    from datm_cli.studies.study_runner import Making

    if to is not None:
        options.named("--to", to, "studies/mine")
    folders = options.folders(data_dir, experts_dir, runs_dir)
    compared = (
        [] if against == "none" else None if against is None else listed("--against", against)
    )
    asked = Asked(
        kind=kind,
        dataset=dataset,
        ipcs=ipcs,
        methods=methods,
        preset=preset,
        config_file=config_file,
        assignments=assignments or [],
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            distill__iterations=iterations,
            distill__seed=seed,
            experts__count=experts,
            evaluate__networks=None if networks is None else listed("--networks", networks),
            evaluate__repeats=repeats,
            evaluate__full_repeats=repeats,
            evaluate__against=compared,
        ),
        name=name,
        data_dir=folders.data,
    )
    plan, origins = asked.plan()
    folder = to or Path("studies") / f"{plan.name}-{plan.kind}"
    computing = options.ComputeOptions(device, precision, compiling, memory, threads)
    with StopRequest(silent=quiet or as_json).listening() as stop:
        making = Making(plan, origins, folders, computing, stop, silent=quiet or as_json)
        making.check()
        study_files.check(folder, plan)
        failed = making.make()
        _tell(making, folder, as_json, quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)
    if failed:
        raise failed[0]


def _tell(making: Making, folder: Path, as_json: bool, quiet: bool) -> None:
    """Write and print what there is, whether it is all or not."""
    import sys

    from datm_cli.studies import study_files, study_tables
    from datm_cli.text import output
    from datm_cli.text.escapes import printable
    from datm_engine.hints import command
    from datm_engine.studies.study_findings import findings
    from datm_engine.studies.study_results import read_study

    plan, runs_dir = making.plan, making.folders.runs
    result = read_study(plan, runs_dir)
    written = study_files.write(result, plan, runs_dir, folder)
    with output.kept(f"the study is kept in {folder}", command("ls", folder)):
        if as_json:
            output.print_json(
                {**study_files.told(result), "files": [str(path) for path in written]}
            )
        else:
            console = output.results()
            console.print(study_tables.drawn(result))
            for text in ("", *findings(result), *study_tables.remarks(result)):
                console.print(printable(text))
    if as_json or quiet:
        return
    output.remarks().print()
    output.remark(f"all of it: {written[-1]}")
    if unmade := [run for run in result.runs if run.status not in ("done", "failed")]:
        again = command("datm", *sys.argv[1:])
        told = f"stopped with {len(unmade)} of {len(plan.runs)} runs to make; go on with: {again}"
        output.remark(told)
