"""`datm study`: several runs that differ in one thing, and their results side by side."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from datm_cli import options


def study(
    *,
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
            "Findings are about the first.",
        ),
    ] = None,
    repeats: options.Repeats = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_ITERATIONS", help="Of each run.")
    ] = None,
    experts: Annotated[
        int | None,
        typer.Option(min=1, envvar="DATM_EXPERTS", help="Shared by the runs."),
    ] = None,
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    seed: Annotated[
        int | None,
        typer.Option(min=0, envvar="DATM_SEED", help="Of the runs; experts and split: their own."),
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
    compute: options.ComputeOptions,
    storage: options.StorageOptions,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Make several runs that differ in one thing, at several images per class; read them together.

    The runs are ordinary ones, and share experts. Finished runs are kept: the same command resumes
    a study that was stopped.
    """
    from datm_cli.resolve import GivenSettings
    from datm_cli.session.run_stage import StopRequest
    from datm_cli.studies import study_files
    from datm_cli.studies.study_request import StudyRequest, parse_names
    from datm_cli.studies.study_runner import StudyRunner

    if to is not None:
        options.named("to", to, "studies/mine")
    folders = storage.folders(runs_dir)
    baselines: list[str] | None = None if against is None else []
    if against is not None and against != "none":
        baselines = parse_names("--against", against)
    given = GivenSettings(
        data_dir=folders.data,
        device=compute.device,
        dataset=dataset,
        preset=preset,
        config_file=config_file,
        assignments=assignments,
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            distill__iterations=iterations,
            distill__seed=seed,
            experts__count=experts,
            evaluate__networks=None if networks is None else parse_names("--networks", networks),
            evaluate__repeats=repeats,
            evaluate__full_repeats=repeats,
            evaluate__against=baselines,
        ),
    )
    plan, origins = StudyRequest(kind, ipcs, methods, name, given).plan()
    folder = to or Path("studies") / f"{plan.name}-{plan.kind}"
    silent = quiet or as_json
    with StopRequest(silent=silent).listening() as stop:
        runner = StudyRunner(plan, origins, folders, compute, stop, silent)
        runner.check()
        study_files.check(folder, plan)
        failures = runner.run()
        study_files.print_result(plan, folders.runs, folder, as_json=as_json, quiet=quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)
    if failures:
        raise failures[0]
