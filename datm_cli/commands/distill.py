"""`datm distill`: all stages, from a dataset's name to a distilled set and its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from datm_cli import options
from datm_engine.errors import Setting

if TYPE_CHECKING:
    from datm_cli.resolve import GivenSettings
    from datm_engine.compute.runtime import Runtime
    from datm_engine.pipeline import Folders, Outcome
    from datm_engine.runs.directory import Run


def distill(
    context: typer.Context,
    dataset: options.Dataset = None,
    ipc: options.Ipc = None,
    preset: options.Preset = None,
    method: options.Method = None,
    window: options.Window = None,
    config_file: options.ConfigFile = None,
    assignments: options.Set = None,
    iterations: options.Iterations = None,
    seed: options.Seed = None,
    resolution: options.Resolution = None,
    skip_damaged: options.SkipDamaged = False,
    name: Annotated[
        str | None, typer.Option(help="The run's name.", show_default="from dataset and ipc")
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Continue a run exactly where it was stopped."),
    ] = None,
    explain: options.Explain = False,
    device: options.Device = None,
    precision: options.Precision = "auto",
    compiling: options.Compile = "auto",
    memory: options.Memory = "auto",
    threads: options.Threads = "auto",
    data_dir: options.DataDir = None,
    experts_dir: options.ExpertsDir = None,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    log: options.Log = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    no_tui: options.NoTui = False,
    color: options.Color = "auto",
) -> None:
    """Distil a dataset: train missing experts, match their trajectories, evaluate the result."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session import detach, prepare_run
    from datm_cli.text.settings_report import print_explanation
    from datm_cli.text.terminal import is_interactive
    from datm_engine.compute import ranks
    from datm_engine.errors import ConfigError
    from datm_engine.interop.tracking import parse
    from datm_engine.runs.directory import Run

    if explain and resume:
        raise ConfigError(
            "--explain is for a new run, and --resume is given", Setting("explain", False)
        )
    together = ranks.join()  # with torchrun, waits for all ranks; alone otherwise
    # A resumed run keeps its trackers, folders and device, unless options name others.
    if resume and log is None:
        log = together.first(lambda: Run.open(runs_dir, resume).manifest().log)
    logs = parse(log)  # before any work
    if resume:
        data_dir, experts_dir, device = prepare_run.resumed_options(
            runs_dir, resume, data_dir, experts_dir, device
        )
    folders = options.folders(data_dir, experts_dir, runs_dir)
    given = GivenSettings(
        data_dir=folders.data,
        dataset=dataset,
        ipc=ipc,
        preset=preset,
        config_file=config_file,
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            distill__iterations=iterations,
            distill__seed=seed,
        ),
        assignments=assignments or [],
        method=method,
        window=window,
        context=context,
    )
    if explain:
        print_explanation(given.resolve(), as_json=as_json)
        return
    compute = options.ComputeOptions(device or "auto", precision, compiling, memory, threads)
    run, on = _open_run(folders, given, compute, name, resume)
    silent = quiet or as_json or not together.leads
    if is_interactive() and not (no_tui or silent or together.count > 1):
        # The engine runs in a process of its own, and this one becomes its screen (by exec).
        words = ["--runs-dir", str(run.path.parent.resolve())]
        words += ["--log", ",".join(logs)]  # even if empty: the run may have had some before
        detach.start_engine(run, ["distill", "--resume", run.name, *words, "--no-tui"])
        detach.become_monitor(run, ["--color", color])
    outcome, exit_code = _run(
        run, on, folders, logs, is_new=not resume, silent=silent, as_json=as_json
    )
    if together.leads:
        _print_outcome(run, outcome, runs_dir, as_json=as_json, silent=silent)
    if exit_code or not together.leads:
        raise typer.Exit(exit_code)


def _open_run(
    folders: Folders,
    given: GivenSettings,
    compute: options.ComputeOptions,
    name: str | None,
    resume: str | None,
) -> tuple[Run, Runtime]:
    """Create a run of these settings, or open the one to resume; and start the runtime for it."""
    from datm_cli.session import prepare_run
    from datm_engine import api
    from datm_engine.compute import ranks
    from datm_engine.compute.threads import run_work
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command

    together, device = ranks.current(), compute.device or "auto"
    if resume is None:
        settled = together.first(given.resolve)
        on = compute.start(None, run_work(settled.config, settled.shape), together)
        run = together.first(lambda: api.create_run(folders, name, settled, device, on))
        return run, on
    # A resumed run computes as it began: precision, memory, threads and compiled steps.
    on = compute.start(prepare_run.arithmetic(folders.runs, resume), ranks=together)
    if name or given.preset or given.method or given.window:
        raise ConfigError(
            "--resume continues a run as it is: --name, --preset, --method and --window are for a "
            "new one",
            command("datm", "distill", "--resume", resume) + options.elsewhere(folders.runs),
        )
    return together.first(lambda: prepare_run.resumed_run(folders, resume, given, device)), on


def _run(
    run: Run,
    on: Runtime,
    folders: Folders,
    logs: Sequence[str],
    *,
    is_new: bool,
    silent: bool,
    as_json: bool,
) -> tuple[Outcome, int]:
    """Run all stages until they end or are stopped; the outcome, and the exit code."""
    from datm_cli.session.run_stage import Several, StopRequest, UntilLost
    from datm_cli.session.watchdog import PATIENCE, ended_if_stuck
    from datm_cli.text import output
    from datm_cli.text.progress import reader
    from datm_engine import api
    from datm_engine.distillation.distilled_sets import progress
    from datm_engine.interop.tracking import tracking
    from datm_engine.pipeline import make_distilled_set

    together = on.ranks

    def report_stuck() -> None:
        message = (
            f"rank {together.rank} of {together.count} did not end its step within "
            f"{PATIENCE:.0f} s of SIGTERM; the last checkpoint is kept"
        )
        if together.reports_failure(message, run.resume_command):
            output.print_error(message, run.resume_command, as_json)

    with (
        api.deleted_if_refused(run, is_new=together.leads and is_new),
        StopRequest(silent=silent, file=run.stop_file).listening() as stop,
        reader(output.remarks(), silent=silent) as shown,
        run.recording() if together.leads else nullcontext(run.not_recording()) as record,
        ended_if_stuck(report_stuck, run.stop_file) if together.count > 1 else nullcontext(),
        tracking(logs if together.leads else [], run, progress(run).iteration) as trackers,
    ):
        screen = UntilLost(shown)
        if together.leads:
            run.update(log=",".join(logs))  # for --resume
        if is_new and not silent:
            for event in run.events():
                screen.read(event)
        together.gather(None)  # an earlier STOP is gone by now
        on = replace(on, stop=stop, save_now=stop.save_now)
        with record.recorded(Several([screen, *trackers]).read) as emit:
            outcome = make_distilled_set(run.config(), run, folders, on, emit=emit)
    return outcome, stop.exit_code


def _print_outcome(
    run: Run, outcome: Outcome, runs_dir: Path, *, as_json: bool, silent: bool
) -> None:
    """Print the results, and what to do next."""
    from datm_cli.text import output, set_report
    from datm_engine.hints import command

    looking = command("datm", "inspect", run.name) + options.elsewhere(runs_dir)
    with output.kept(f"run {run.name} is kept in {run.path}", looking):
        if as_json:
            output.print_json(
                {
                    "run": run.name,
                    "status": outcome.status,
                    "iterations": outcome.iterations,
                    "loss": outcome.loss,
                    "results": [output.row(row) for row in outcome.results],
                }
            )
        elif outcome.results:
            output.results().print(set_report.accuracy_table(outcome.results))
    if not silent:
        following = (
            f"look at it: {looking}"
            if outcome.status == "done"
            else f"stopped after {outcome.iterations:,} iterations; resume it: {run.resume_command}"
        )
        with suppress(OSError):  # the run has ended well, even if nobody reads it
            output.remark(following)
