"""Open a run to resume, before any work starts. `datm_engine.api` creates new ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.api import run_options
from datm_engine.distillation.distilled_sets import progress
from datm_engine.errors import ConfigError
from datm_engine.runs.directory import Run
from datm_engine.runs.events import EvaluationChanged
from datm_engine.settings.config import build, differences, overlay

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
    after = build(overlay(before.model_dump(), over), f"--resume {name}")
    changed = differences(before, after)
    if fixed := {key: values for key, values in changed.items() if key not in _CHANGEABLE}:
        changes = ", ".join(f"{key} was {was!r}, not {now!r}" for key, (was, now) in fixed.items())
        raise ConfigError(
            f"run {name} has other settings: {changes}",
            f"{run.resuming}   # without them, or leave out --resume for a new run",
        )
    done = progress(run).iteration
    if after.distill.iterations < done:
        raise ConfigError(
            f"run {name} has done {done} iterations, more than {after.distill.iterations}",
            f"{run.resuming} --iterations {done}",
        )
    options = run_options(folders, device)
    if changed or options != run.manifest().options:
        with run.recording() as record:
            run.update(after, options=options)
            if EVALUATION_KEYS & set(changed):
                record.write(EvaluationChanged())
    return run
