"""`datm tune`: better settings than those that are, by short trials on held-out images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.tuning.trials import Trial, Trials
    from datm_engine.tuning.tunes import Tune

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
            help="Of a trial that runs in full; most end after a ninth.  [default: the settings']",
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
    name: Annotated[
        str | None, typer.Option(help="The tune's name.  [default: from dataset and ipc]")
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
    import time

    from datm_cli import output, settings
    from datm_cli.driving import StopRequest, UntilLost
    from datm_cli.progress import reader
    from datm_cli.study.asking import flags
    from datm_cli.study.making import Computing
    from datm_cli.tune import telling, workers
    from datm_cli.tune.asking import ask
    from datm_cli.tune.reading import Watching
    from datm_cli.tune.work import Work, folders_of
    from datm_engine import runtime
    from datm_engine.errors import ConfigError
    from datm_engine.events import Event, RunEnded, RunStarted
    from datm_engine.extras import require
    from datm_engine.hints import command
    from datm_engine.tuning.budget import parse_budget
    from datm_engine.tuning.conductor import Conductor
    from datm_engine.tuning.tunes import Tune
    from datm_engine.version import __version__

    limit = parse_budget(budget)
    require("optuna", extra="tune", purpose="datm tune")
    folders = options.folders(data_dir, experts_dir, tunes_dir)
    given = flags(dataset__resolution=resolution, distill__seed=seed)
    settled = settings.settle(
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
    computing = Computing(places[0] if len(places) == 1 else device, precision, compiling, memory)
    on = [
        runtime.start(place, precision, compiling, memory).description
        for place in dict.fromkeys(places or [device or "auto"])
    ]
    made = Tune.begin(tunes_dir, name or asked.name, asked.config, asked.facts)
    work = Work(folders_of(made.path, folders), asked.first, computing)
    silent = quiet or as_json
    made_by = command("datm", *sys.argv[1:])

    began = time.monotonic()
    with (
        StopRequest(silent=silent, file=made.log.stop_file).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
        made.log.recording() as record,
    ):
        screen = Watching(UntilLost(shown))
        before = made.log.events()
        started = RunStarted(
            run=made.name,
            command="tune",
            device=", ".join(on),
            version=__version__,
            seed=asked.config.distill.seed,
        )
        told: list[Event] = [*before, record.write(started)]
        conductor = Conductor(
            told,
            record.write,
            lambda: made.run(0).config(),
            held=asked.held,
            rungs=asked.rungs,
            seed=asked.config.distill.seed,
            budget=limit,
            seconds=lambda: time.monotonic() - began,
        )
        for text in (f"settings: {settled.source}", *settled.notes, *asked.notes()):
            screen.tell(text)
        screen.tell(f"watch it: {command('datm', 'monitor', made.path)}")
        if before:
            over = len(conductor.trials.over)
            screen.tell(f"going on with tune {made.name}: {over} trials are over")

        def ended(trial: Trial) -> None:
            screen.tell(telling.line(trial))
            if not keep:
                best = conductor.trials.best
                made.shed(conductor.trials, {0, best.number if best else 0})

        if len(places) > 1:
            workers.together(conductor, work, places, stop, ended)
        else:
            workers.alone(conductor, work, stop, screen, ended)
        status = "stopped" if stop() else "done"
        last = record.write(RunEnded(status=status, iteration=len(conductor.trials.over)))
        conductor.trials.add(last)
    _tell(made, conductor.trials, made_by, to, as_json, quiet)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _tell(
    tune: Tune, trials: Trials, made_by: str, to: Path | None, as_json: bool, quiet: bool
) -> None:
    """Write and print what there is, whether it is all or not."""
    from datm_cli import output
    from datm_cli.tune import telling
    from datm_engine.hints import command
    from datm_engine.tuning.findings import finding

    written = telling.write_preset(tune, trials, made_by, to) if trials.best else None
    if as_json:
        output.print_json(telling.told(tune, trials))
        return
    console, remarks = output.results(), output.remarks()
    if written:
        console.print(telling.table(trials))
        console.print("\n" + finding(trials, telling.held_out(tune)), markup=False)
        console.print(
            f"distil with it: {command('datm', 'distill', '--config', written)}",
            markup=False,
            soft_wrap=True,
        )
    if quiet:
        return
    remarks.print(f"its trials: {tune.path}", soft_wrap=True, markup=False)
    if trials.ended is None or trials.ended.status != "done":
        remarks.print(f"stopped; go on with: {made_by}", soft_wrap=True, markup=False)
