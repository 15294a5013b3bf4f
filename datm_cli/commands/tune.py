"""`datm tune`: search for better settings by short trials, scored on held-out images."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from datm_cli import options
from datm_engine.errors import Setting


def tune(
    *,
    settings: options.SettingOptions,
    budget: Annotated[
        str,
        typer.Option(
            metavar="N|TIME",
            help="Trials, the first with the settings as they are; or a time: 30m, 2h.",
        ),
    ] = "20",
    iterations: Annotated[
        int | None,
        typer.Option(
            min=1,
            envvar="DATM_ITERATIONS",
            help="Of a trial that runs in full; most end after a ninth.",
            show_default="the settings'",
        ),
    ] = None,
    seed: options.Seed = None,
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
    compute: options.ComputeOptions,
    storage: options.StorageOptions,
    tunes_dir: options.TunesDir = options.TUNES_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Search around the settings for better ones; the result is a preset.

    Trials are ordinary runs that share experts and are scored on held-out training images, never on
    the test set. What an option sets is not searched. The same command resumes a tune that was
    stopped.
    """
    from datm_cli.resolve import GivenSettings
    from datm_cli.session.run_stage import StopRequest
    from datm_cli.tuning import tune_output
    from datm_cli.tuning.tune_request import request_tune
    from datm_cli.tuning.tune_runner import TuneRunner
    from datm_engine import api
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command
    from datm_engine.optional_imports import require
    from datm_engine.tuning.trial_scheduler import parse_budget
    from datm_engine.tuning.tune_folder import Tune

    limit = parse_budget(budget)
    require("optuna", extra="tune", purpose="datm tune")
    folders = storage.folders(tunes_dir)
    given = GivenSettings(
        **vars(settings),
        data_dir=folders.data,
        device=compute.device or (devices or "auto").partition(",")[0].strip(),
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            distill__seed=seed,
        ),
    )
    request = request_tune(given, iterations)
    names = [name.strip() for name in (devices or "").split(",") if name.strip()]
    if names and compute.device:
        raise ConfigError("--device and --devices are both given", Setting("device"))
    names = names or [compute.device or "auto"]
    typed = command("datm", *sys.argv[1:])
    silent = quiet or as_json
    with StopRequest(silent=silent).listening() as stop:
        runner = TuneRunner(request, folders, compute, names, limit, stop, keep, silent)
        runner.check()
        api.check_class_sizes(request.config, folders.data)
        name = request.default_name if name is None else name
        extra = {"iterations": request.iterations, "held": sorted(request.held)}
        folder = Tune.begin(tunes_dir, name, request.config, extra, typed)
        state = runner.run(folder)
        tune_output.print_result(folder, state, typed, to, as_json=as_json, quiet=quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)
