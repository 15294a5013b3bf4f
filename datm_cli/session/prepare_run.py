"""Open a run before any work starts: one to resume, or one of a study or a tune."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from datm_cli.options import ComputeOptions
from datm_cli.resolve import GivenSettings, read_config
from datm_cli.session import run_cost
from datm_engine.api import create_run, run_options, runtime_facts
from datm_engine.compute.ranks import ALONE, Ranks
from datm_engine.compute.threads import run_work
from datm_engine.data.datasets import peek
from datm_engine.errors import ConfigError, DatmError
from datm_engine.runs.directory import Run
from datm_engine.runs.events import EvaluationChanged, ignore
from datm_engine.runs.process import Process
from datm_engine.settings.config import changes_text, differences, overlay
from datm_engine.settings.image_size import at_resolution
from datm_engine.settings.origins import Tables
from datm_engine.settings.resolved import Resolved

if TYPE_CHECKING:
    from datm_engine.compute.runtime import Runtime
    from datm_engine.runs.directory import Folders

# What a resumed run may change: how the result is evaluated at the end.
EVALUATION_KEYS = {
    f"evaluate.{key}"
    for key in ("networks", "repeats", "against", "real_lr", "full_epochs", "full_repeats")
}
_CHANGEABLE = {"distill.iterations"} | EVALUATION_KEYS


def create(
    folders: Folders,
    name: str | None,
    resolved: Resolved,
    compute: ComputeOptions,
    together: Ranks = ALONE,
) -> tuple[Run, Runtime]:
    """Create a run and start the runtime for it. Raises DatmError."""
    on = compute.start(None, run_work(resolved.config, resolved.shape), together)
    requested = compute.requested
    # The first rank writes the folder; the others get its path.
    return together.first(lambda: create_run(folders, name, resolved, requested, on)), on


def for_engine(
    resumed: Run | None,
    folders: Folders,
    name: str | None,
    given: GivenSettings,
    compute: ComputeOptions,
    *,
    confirmed: bool,
) -> Run:
    """Create a run that a process of its own will compute, or change the one to resume, without
    torch. Asks before a long one unless `confirmed`. Raises DatmError."""
    if resumed is not None:
        before = resumed.manifest().arithmetic
        compute.check(before if before.is_decided else None)
        change_settings(resumed, folders, given, compute)
        return resumed
    compute.check()
    resolved = given.resolve()
    if not confirmed:
        run_cost.confirm(run_cost.estimate(resolved, folders, compute))
    return create_run(folders, name, resolved, compute.requested, None)


def resume(
    run: Run,
    folders: Folders,
    given: GivenSettings,
    compute: ComputeOptions,
    together: Ranks = ALONE,
) -> tuple[Run, Runtime]:
    """Change the settings of a run that is continued, and start the runtime for it. It computes as
    it began: precision, memory, threads and compiled steps. Raises DatmError."""
    with _recording_failure(run):
        before = together.first(run.manifest).arithmetic
        if before.is_decided:
            on = compute.start(before, ranks=together)
        else:
            on = compute.start(None, together.first(lambda: _work(run, folders)), together)
            together.first(lambda: run.update(**runtime_facts(on)))
        together.first(lambda: change_settings(run, folders, given, compute))
    return run, on


def _work(run: Run, folders: Folders) -> float:
    """Multiply-adds of a step of the run, by its dataset's shape."""
    config = run.config()
    shape = peek(config.dataset.name, data_dir=folders.data)
    return run_work(config, at_resolution(shape, config.dataset.resolution))


@contextmanager
def _recording_failure(run: Run) -> Iterator[None]:
    """Record a failure in the run if this process is the engine of a screen, which shows it."""
    try:
        yield
    except DatmError:
        if Process.read(run.process_file) == Process.of(os.getpid()):
            with run.recording() as record, record.recorded(ignore):
                raise
        raise


def change_settings(
    run: Run, folders: Folders, given: GivenSettings, compute: ComputeOptions
) -> None:
    """Change a run that is resumed by `given`: more iterations, or another evaluation. Raises
    ConfigError for any other change. Loads torch only for another number of iterations."""
    name, before = run.name, run.config()
    over = read_config(given.config_file)[0] if given.config_file else {}
    over = overlay(over, given.overrides())
    after = before.with_values(over, f"--resume {name}")
    changed = differences(before, after)
    if fixed := {key: values for key, values in changed.items() if key not in _CHANGEABLE}:
        raise ConfigError(
            f"run {name} has other settings: {changes_text(fixed)}",
            f"{run.resume_command}   # without them, or leave out --resume for a new run",
        )
    if after.distill.iterations < before.distill.iterations:
        _check_not_done(run, after.distill.iterations)
    options = run_options(folders, compute.requested)
    if changed or options != run.manifest().options:
        with run.recording() as record:
            run.update(after, options=options)
            if EVALUATION_KEYS & set(changed):
                record.write(EvaluationChanged())


def _check_not_done(run: Run, iterations: int) -> None:
    """Raise ConfigError if the run has done more: iterations cannot be taken back."""
    from datm_engine.distillation.distilled_sets import progress

    done = progress(run).iteration
    if iterations < done:
        raise ConfigError(
            f"run {run.name} has done {done} iterations, more than {iterations}",
            f"{run.resume_command} --iterations {done}",
        )


def is_started(run: Run) -> bool:
    """Whether there is a run to resume. A run that failed before its first checkpoint is created
    again."""
    return run.manifest_file.is_file() and not run.failed_early


def open_run(
    folders: Folders, name: str, resolved: Resolved, compute: ComputeOptions, flags: Tables
) -> tuple[Run, Runtime]:
    """Open a run of a study or a tune: create it with the settings `resolved`, or resume it with
    the changes of `flags`. Raises DatmError."""
    run = Run(folders.runs / name)
    if not is_started(run):
        return create(folders, name, resolved, compute)
    given = GivenSettings(data_dir=folders.data, flags=flags)
    return resume(run, folders, given, compute)
