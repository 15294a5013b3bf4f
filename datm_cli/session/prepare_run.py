"""Open a run before any work starts: one to resume, or one of a study or a tune."""

from __future__ import annotations

from typing import TYPE_CHECKING

from datm_cli.options import ComputeOptions
from datm_cli.resolve import GivenSettings, read_config
from datm_engine.api import create_run, run_options
from datm_engine.compute.ranks import ALONE, Ranks
from datm_engine.compute.runtime import Runtime
from datm_engine.compute.threads import run_work
from datm_engine.distillation.distilled_sets import progress
from datm_engine.errors import ConfigError
from datm_engine.runs.directory import Run
from datm_engine.runs.events import EvaluationChanged
from datm_engine.settings.config import changes_text, differences, overlay
from datm_engine.settings.origins import Tables
from datm_engine.settings.resolved import Resolved

if TYPE_CHECKING:
    from datm_engine.pipeline import Folders

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
    device = compute.device or "auto"
    # The first rank writes the folder; the others get its path.
    return together.first(lambda: create_run(folders, name, resolved, device, on)), on


def resume(
    run: Run,
    folders: Folders,
    given: GivenSettings,
    compute: ComputeOptions,
    together: Ranks = ALONE,
) -> tuple[Run, Runtime]:
    """Change the settings of a run that is continued, and start the runtime for it. It computes as
    it began: precision, memory, threads and compiled steps. Raises DatmError."""
    on = compute.start(run.manifest().arithmetic, ranks=together)
    together.first(lambda: _change_settings(run, folders, given, compute.device or "auto"))
    return run, on


def _change_settings(run: Run, folders: Folders, given: GivenSettings, device: str) -> None:
    """Change a run that is resumed by `given`: more iterations, or another evaluation. Raises
    ConfigError for any other change."""
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
    # Iterations that are done cannot be taken back.
    done = progress(run).iteration
    if after.distill.iterations < done:
        raise ConfigError(
            f"run {name} has done {done} iterations, more than {after.distill.iterations}",
            f"{run.resume_command} --iterations {done}",
        )
    options = run_options(folders, device)
    if changed or options != run.manifest().options:
        with run.recording() as record:
            run.update(after, options=options)
            if EVALUATION_KEYS & set(changed):
                record.write(EvaluationChanged())


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
