"""`datm tune`: better settings than those that are, by short trials on held-out images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options
from datm_engine.formatting import plural

if TYPE_CHECKING:
    from datm_engine.tuning.trials import Trials
    from datm_engine.tuning.tune_folder import Tune

BUDGET = "20"


def tune(
    dataset: options.Dataset = None,
    ipc: options.Ipc = None,
    preset: options.Preset = None,
    method: options.Method = None,
    window: options.Window = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    budget: Annotated[
        str,
        typer.Option(
            metavar="N|TIME", help="Trials, the settings as they are included; or 30m, 2h."
        ),
    ] = BUDGET,
    iterations: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="DATM_ITERATIONS",
            help="Of a trial that runs in full; most end after a ninth.",
            show_default="the settings'",
        ),
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            envvar="DATM_SEED",
            help="Of the runs and the search (experts, split: their own).",
        ),
    ] = None,
    resolution: options.Resolution = None,
    skip_damaged: options.SkipDamaged = False,
    name: Annotated[
        str | None, typer.Option(help="The tune's name.", show_default="from dataset and ipc")
    ] = None,
    to: Annotated[
        Path | None,
        typer.Option(metavar="PRESET.toml", help="Write the result here as well."),
    ] = None,
    devices: Annotated[
        str | None,
        typer.Option(metavar="DEVICE,…", help="A trial at a time on each: cuda:0,cuda:1."),
    ] = None,
    keep: Annotated[
        bool,
        typer.Option("--keep", help="Every trial's images, not only the first's and the best's."),
    ] = False,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    threads: options.Threads = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    tunes_dir: options.TunesDir = options.TUNES_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Search around the settings for better ones; the result is a preset.

    Trials are ordinary runs that share experts and are scored on held-out training images, never on
    the test set. What is given by a flag is held. The same command goes on with a tune that was
    stopped.
    """
    import sys

    from datm_cli import resolve
    from datm_cli.session import prepare_run
    from datm_cli.session.run_stage import StopRequest
    from datm_cli.studies.study_request import flags
    from datm_cli.studies.study_runner import Computing
    from datm_cli.tuning.tune_request import ask
    from datm_cli.tuning.tune_runner import Conducting
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command
    from datm_engine.optional_imports import require
    from datm_engine.tuning.budget import parse_budget
    from datm_engine.tuning.tune_folder import Tune

    limit = parse_budget(budget)
    require("optuna", extra="tune", purpose="datm tune")
    folders = options.folders(data_dir, experts_dir, tunes_dir)
    given = flags(
        dataset__resolution=resolution,
        dataset__skip_damaged=skip_damaged or None,
        distill__seed=seed,
    )
    settled = resolve.settle(
        dataset=dataset,
        ipc=ipc,
        preset=preset,
        config_file=config_file,
        flags=given,
        assignments=assignments or [],
        data_dir=folders.data,
        method=method,
        window=window,
    )
    asked = ask(settled, given, assignments or [], window, iterations)
    places = [place.strip() for place in (devices or "").split(",") if place.strip()]
    if places and device:
        raise ConfigError("--device and --devices are both given", "--device ''")
    places = places or [device or "auto"]
    computing = Computing(places[0], precision, compiling, memory, threads)
    typed = command("datm", *sys.argv[1:])
    with StopRequest(silent=quiet or as_json).listening() as stop:
        conducting = Conducting(
            asked, folders, computing, places, limit, stop, keep=keep, silent=quiet or as_json
        )
        conducting.check()
        prepare_run.check_ipc(asked.config, folders.data)
        called = asked.name if name is None else name
        made = Tune.begin(tunes_dir, called, asked.config, asked.facts, typed)
        trials = conducting.make(made)
        _tell(made, trials, typed, to, as_json, quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _tell(
    tune: Tune, trials: Trials, typed: str, to: Path | None, as_json: bool, quiet: bool
) -> None:
    """Write and print what there is, whether it is all or not."""
    from datm_cli.text import output
    from datm_cli.text.escapes import printable
    from datm_cli.tuning import tune_output
    from datm_engine.hints import command
    from datm_engine.tuning.tune_result import finding

    written = tune_output.write_preset(tune, trials, typed, to) if trials.best else None
    console = output.results()
    with output.kept(f"the tune is kept in {tune.path}", command("ls", tune.path)):
        if as_json:
            output.print_json(tune_output.told(tune, trials))
        elif written:
            console.print(tune_output.table(trials))
            console.print("\n" + printable(finding(trials, tune_output.held_out(tune))))
            distilling = command("datm", "distill", "--config", written)
            console.print(printable(f"distil with it: {distilling}"), soft_wrap=True)
    if as_json or quiet:
        return
    output.remark(f"its trials: {tune.path}")
    if trials.ended is None or trials.ended.status != "done":
        output.remark(f"stopped; go on with: {typed}")
    elif waiting := len(trials.unfinished):
        told = f"{plural(waiting, 'trial')} had no time to end; a larger --budget goes on"
        output.remark(told)
