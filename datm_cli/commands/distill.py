"""`datm distill`: all stages, from a dataset's name to a distilled set and its accuracy."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

from datm_cli import options

if TYPE_CHECKING:
    from datm_engine.compute.runtime import Runtime
    from datm_engine.pipeline import Outcome
    from datm_engine.runs.directory import Folders, Run
    from datm_engine.runs.events import Event


def distill(
    context: typer.Context,
    *,
    settings: options.SettingOptions,
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
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    compute: options.ComputeOptions,
    storage: options.StorageOptions,
    runs_dir: options.RunsDir = options.RUNS_DIR,
    log: options.Log = None,
    as_json: options.AsJson = False,
    quiet: options.Quiet = False,
    no_tui: options.NoTui = False,
    color: options.Color = "auto",
) -> None:
    """Distil a dataset: train missing experts, match their trajectories, evaluate the result."""
    from datm_cli.resolve import GivenSettings
    from datm_cli.session import prepare_run, run_cost
    from datm_cli.text.settings_report import print_explanation
    from datm_cli.text.terminal import is_interactive
    from datm_engine.compute import ranks
    from datm_engine.interop.tracking import parse
    from datm_engine.runs.directory import Run

    if resume and any((explain, dry_run, name, settings.preset, settings.method, settings.window)):
        _refuse_new_options(resume, runs_dir)
    together = ranks.join()  # with torchrun, waits for all ranks; alone otherwise
    resumed = together.first(lambda: Run.open(runs_dir, resume)) if resume else None
    before = together.first(resumed.manifest) if resumed else None
    # A resumed run keeps its trackers, folders and device, unless options name others.
    logs = parse(before.log if before and log is None else log)  # before any work
    earlier = before.options if before else {}
    folders = storage.folders(runs_dir, **earlier)
    compute = compute.or_earlier(earlier)
    silent = quiet or as_json or not together.leads
    given = GivenSettings(
        **vars(settings),
        data_dir=folders.data,
        device=compute.device,
        flags=options.tables(
            dataset__resolution=resolution,
            dataset__skip_damaged=skip_damaged or None,
            distill__iterations=iterations,
            distill__seed=seed,
        ),
        context=context,
    )
    if explain or dry_run:
        resolved = given.resolve()
        cost = run_cost.estimate(resolved, folders, compute) if dry_run else None
        print_explanation(resolved, cost, as_json=as_json)
        return
    if is_interactive() and not (no_tui or silent or together.count > 1):  # torch is not loaded
        run = prepare_run.for_engine(resumed, folders, name, given, compute, confirmed=yes)
        _become_screen(run, logs, color)
    if resumed:
        run, on = prepare_run.resume(resumed, folders, given, compute, together)
    else:
        resolved = together.first(given.resolve)
        if is_interactive() and not (yes or quiet or as_json or together.count > 1):
            run_cost.confirm(run_cost.estimate(resolved, folders, compute))
        run, on = prepare_run.create(folders, name, resolved, compute, together)
    is_new = resumed is None
    hidden = quiet or not together.leads  # with --json, events are printed to stderr
    outcome, exit_code = _run(run, on, folders, logs, is_new=is_new, silent=hidden, as_json=as_json)
    if together.leads:
        _print_outcome(run, outcome, runs_dir, as_json=as_json, silent=silent)
    if exit_code or not together.leads:
        raise typer.Exit(exit_code)


def _refuse_new_options(resume: str, runs_dir: Path) -> NoReturn:
    from datm_engine.errors import ConfigError
    from datm_engine.hints import command

    raise ConfigError(
        "--resume continues a run as it is: --name, --preset, --method, --window, --explain and "
        "--dry-run are for a new one",
        command("datm", "distill", "--resume", resume) + options.elsewhere(runs_dir),
    )


def _become_screen(run: Run, logs: Sequence[str], color: str) -> NoReturn:
    """Start the engine as a process of its own, and become its screen (by exec)."""
    from datm_cli.session import detach

    words = ["--runs-dir", str(run.path.parent.resolve())]
    words += ["--log", ",".join(logs)]  # even if empty: the run may have had some before
    detach.start_engine(run, ["distill", "--resume", run.name, *words, "--no-tui"])
    detach.become_monitor(run, ["--color", color])


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
    from datm_cli.session.run_stage import StopRequest, until_lost
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
        tracking(logs if together.leads else [], run, progress(run).iteration) as track,
    ):
        show = until_lost(shown.read)
        if together.leads:
            run.update(log=",".join(logs))  # for --resume
        if is_new and not silent:
            for event in run.events():
                show(event)
        together.gather(None)  # an earlier STOP is gone by now
        on = replace(on, stop=stop, save_now=stop.save_now)

        def show_and_log(event: Event) -> None:
            show(event)
            track(event)

        with record.recorded(show_and_log) as emit:
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
