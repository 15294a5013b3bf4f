"""`datm distill`: the whole road, from a dataset's name to a distilled set and its accuracy."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from datm_cli import options

# What may differ when a run goes on: nothing that has been used so far.
FREE = {
    "distill.iterations",
    *(f"evaluate.{key}" for key in ("networks", "repeats", "against", "real_lr")),
    *(f"evaluate.{key}" for key in ("full_epochs", "full_repeats")),
}

if TYPE_CHECKING:
    from datm_cli.settings import Settings
    from datm_engine.pipeline import Folders
    from datm_engine.runs import Run


def distill(
    dataset: options.Dataset = None,
    ipc: options.Ipc = None,
    preset: options.Preset = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    iterations: Annotated[
        int | None, typer.Option(min=1, envvar="DATM_ITERATIONS", help="How many to run.")
    ] = None,
    seed: Annotated[
        int | None,
        typer.Option(
            min=0,
            envvar="DATM_SEED",
            help="Of the run (experts, split: their own).",
        ),
    ] = None,
    resolution: options.Resolution = None,
    name: Annotated[
        str | None, typer.Option(help="The run's name.  [default: from dataset and ipc]")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Go on with a run, exactly where it was."),
    ] = None,
    device: options.Device = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = options.EXPERTS_DIR,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
) -> None:
    """Distil a dataset: train missing experts, match their trajectories, evaluate the result."""
    from datm_cli import output, report, settings
    from datm_cli.driving import StopRequest, drive
    from datm_cli.progress import reader
    from datm_engine import runtime
    from datm_engine.errors import ConfigError
    from datm_engine.evaluation.comparison import result
    from datm_engine.events import Noted
    from datm_engine.pipeline import make_distilled_set

    folders = options.folders(data_dir, experts_dir, runs_dir)
    on = runtime.start(device)
    flags: dict[str, Any] = {"dataset": {"resolution": resolution}} if resolution else {}
    own = {"iterations": iterations, "seed": seed}
    if stated := {key: value for key, value in own.items() if value is not None}:
        flags["distill"] = stated
    given: dict[str, Any] = {
        "dataset": dataset,
        "ipc": ipc,
        "preset": preset,
        "config_file": config_file,
        "flags": flags,
        "assignments": assignments or [],
        "data_dir": folders.data,
    }
    if resume:
        if name or preset:
            raise ConfigError(
                "--resume goes on with a run as it is: --name and --preset are for a new one",
                f"datm distill --resume {resume}",
            )
        run, settled = _resumed(folders, resume, given)
    else:
        settled = settings.settle(**given)
        run = _created(folders, name, settled, on.description)

    with (
        StopRequest(silent=quiet or as_json).listening() as stop,
        reader(output.remarks(), silent=quiet or as_json) as screen,
        run.recording() as record,
    ):
        if resume:
            run.restate(settled.config)
        else:
            screen.read(record.write(Noted(text=f"settings: {settled.source}")))
            for note in settled.notes:
                screen.read(record.write(Noted(text=note)))
        road = make_distilled_set(settled.config, run, folders, on, stop)
        outcome = drive(record.follow(road), screen)

    if as_json:
        output.print_json(
            {
                "run": run.name,
                "status": outcome.status,
                "iterations": outcome.iterations,
                "loss": outcome.loss,
                "results": [result(row) for row in outcome.results],
            }
        )
    elif outcome.results:
        output.results().print(report.results(outcome.results))
    if not (as_json or quiet):
        elsewhere = (
            "" if runs_dir == options.RUNS_DIR else f" --runs-dir {shlex.quote(str(runs_dir))}"
        )
        following = (
            f"look at it: datm inspect {run.name}{elsewhere}"
            if outcome.status == "done"
            else f"stopped after {outcome.iterations:,} iterations; go on with: "
            f"datm distill --resume {run.name}{elsewhere}"
        )
        output.remarks().print(following, soft_wrap=True, markup=False)
    if stop.exit_code:
        raise typer.Exit(stop.exit_code)


def _created(folders: Folders, name: str | None, settled: Settings, device: str) -> Run:
    from datm_engine.runs import Run, free_name
    from datm_engine.runtime import environment

    config = settled.config
    stem = f"{Path(config.dataset.name).stem or 'images'}-ipc{config.distill.ipc}"
    name = name or free_name(folders.runs, stem)
    facts = {"source": settled.source, "device": device, "environment": environment()}
    return Run.create(folders.runs, name, config, facts)


def _resumed(folders: Folders, name: str, given: dict[str, Any]) -> tuple[Run, Settings]:
    """The run and its own configuration; more iterations, and what the result is compared with
    at the end, may differ."""
    from datm_cli import settings
    from datm_engine.config import build, differences, overlay, parse_assignments
    from datm_engine.distilled import progress
    from datm_engine.errors import ConfigError
    from datm_engine.runs import Run

    run = Run.open(folders.runs, name)
    before = run.config()
    over: dict[str, Any] = {}
    if given["config_file"]:
        over = settings.read_file(given["config_file"])
    over = overlay(overlay(over, given["flags"]), parse_assignments(given["assignments"]))
    if given["dataset"]:
        over = overlay(over, {"dataset": {"name": settings.full_name(given["dataset"])}})
    if given["ipc"]:
        over = overlay(over, {"distill": {"ipc": given["ipc"]}})
    after = build(overlay(before.model_dump(), over), f"--resume {name}")
    changed = {key: values for key, values in differences(before, after).items() if key not in FREE}
    if changed:
        told = ", ".join(f"{key} was {was!r}, not {now!r}" for key, (was, now) in changed.items())
        raise ConfigError(
            f"run {name} has other settings: {told}",
            f"datm distill --resume {name}   # without them, or leave out --resume for a new run",
        )
    done = progress(run).iteration
    if after.distill.iterations < done:
        raise ConfigError(
            f"run {name} has done {done} iterations, more than {after.distill.iterations}",
            f"datm distill --resume {name} --iterations {done}",
        )
    return run, settings.Settings(after, f"run {name}", ())
