"""Open a run before any work starts: one to resume, or one of a study or a tune."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli.options import ComputeOptions
from datm_cli.resolve import GivenSettings, read_config
from datm_engine.api import create_run, run_options
from datm_engine.compute.runtime import Runtime
from datm_engine.compute.threads import run_work
from datm_engine.distillation.distilled_sets import progress
from datm_engine.errors import ConfigError
from datm_engine.runs.directory import Run
from datm_engine.runs.events import EvaluationChanged
from datm_engine.settings.config import differences, overlay
from datm_engine.settings.origins import Tables
from datm_engine.settings.resolved import Resolved

if TYPE_CHECKING:
    from datm_engine.pipeline import Folders

# What a resumed run may change: how the result is evaluated at the end.
EVALUATION_KEYS = {
    *(f"evaluate.{key}" for key in ("networks", "repeats", "against", "real_lr")),
    *(f"evaluate.{key}" for key in ("full_epochs", "full_repeats")),
}
_CHANGEABLE = {"distill.iterations"} | EVALUATION_KEYS


def resumed_options(
    runs_dir: Path, name: str, data: Path | None, experts: Path | None, device: str | None
) -> tuple[Path | None, Path | None, str | None]:
    """The data folder, the experts' folder and the device: as given, or as the run that is resumed
    used them. Raises RunError if there is no such run or it is damaged."""
    used = Run.open(runs_dir, name).manifest().options
    if data is None and "data_dir" in used:
        data = Path(used["data_dir"])
    if experts is None and "experts_dir" in used:
        experts = Path(used["experts_dir"])
    return data, experts, device or used.get("device")


def arithmetic(runs_dir: Path, name: str) -> dict[str, Any]:
    """How a run computes, for `runtime.start`. Raises RunError."""
    return Run.open(runs_dir, name).manifest().arithmetic.model_dump()


def resumed_run(folders: Folders, name: str, given: GivenSettings, device: str) -> Run:
    """Open a run with its own configuration, changed by `given`: more iterations, or another
    evaluation. Raises ConfigError for any other change."""
    run = Run.open(folders.runs, name)
    before = run.config()
    over = read_config(given.config_file)[0] if given.config_file else {}
    over = overlay(over, given.overrides())
    after = before.with_values(over, f"--resume {name}")
    changed = differences(before, after)
    if fixed := {key: values for key, values in changed.items() if key not in _CHANGEABLE}:
        changes = ", ".join(f"{key} was {was!r}, not {now!r}" for key, (was, now) in fixed.items())
        raise ConfigError(
            f"run {name} has other settings: {changes}",
            f"{run.resume_command}   # without them, or leave out --resume for a new run",
        )
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
    return run


def is_started(run: Run) -> bool:
    """Whether there is a run to resume. A run that failed before its first checkpoint is created
    again."""
    return run.manifest_file.is_file() and not run.failed_early


def open_run(
    folders: Folders, name: str, settled: Resolved, compute: ComputeOptions, flags: Tables
) -> tuple[Run, Runtime]:
    """Open a run of a study or a tune: create it with the settings `settled`, or resume it with the
    changes of `flags`. Raises DatmError."""
    run = Run(folders.runs / name)
    device = compute.device or "auto"
    work = run_work(settled.config, settled.shape)
    if not is_started(run):
        on = compute.start(None, work)
        return create_run(folders, name, settled, device, on), on
    on = compute.start(run.manifest().arithmetic.model_dump(), work)
    given = GivenSettings(folders.data, flags=flags)
    return resumed_run(folders, name, given, device), on
