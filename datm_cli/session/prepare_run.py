"""Create a run directory, or open one to resume, before any work starts."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.compute.runtime import Runtime, environment
from datm_engine.data.description import smallest_class
from datm_engine.distillation.distilled_sets import progress
from datm_engine.errors import ConfigError, DataError, FileError
from datm_engine.experts.imported import origin_of
from datm_engine.files import or_elsewhere
from datm_engine.runs.directory import Run, free_name
from datm_engine.runs.events import EvaluationChanged, Noted
from datm_engine.runs.names import name_from
from datm_engine.settings.config import Config, build, differences, overlay
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


def _options(folders: Folders, device: str) -> dict[str, str]:
    """What run.json records of the options of the command."""
    return {
        "data_dir": str(folders.data.resolve()),
        "experts_dir": str(folders.experts.resolve()),
        "device": device,
    }


def check_ipc(config: Config, data_dir: Path) -> None:
    """Raise DataError if a class is known to have fewer training images than `distill.ipc`."""
    known, ipc = smallest_class(config.dataset, data_dir), config.distill.ipc
    if known is not None and known[1] < ipc:
        name, count = known
        wrong = f"ipc {ipc} is more than {name} has: {count} training images"
        raise DataError(wrong, f"--ipc {count}")


@contextmanager
def deleted_if_refused(run: Run, *, is_new: bool) -> Iterator[None]:
    """Delete a new run if its settings or data turn out to be impossible before it produced
    anything. The hint is then a change of the command as it was typed, as the run is gone."""
    try:
        yield
    except (ConfigError, DataError, FileError) as problem:
        changes_option = bool(problem.change) or not isinstance(problem, FileError)
        if is_new and changes_option and run.failed_early:
            run.delete()
            problem.hint = problem.change or problem.hint
        raise


def new_run(folders: Folders, name: str | None, settled: Resolved, device: str, on: Runtime) -> Run:
    """Create a run and record where its settings come from. `device`: the option as given.

    Raises RunError, ConfigError or FileError; then no run is left.
    """
    config = settled.config
    if config.experts.imported is not None:
        origin_of(folders.experts / config.experts.imported)
    check_ipc(config, folders.data)
    dataset = Path(config.dataset.name).stem or "images"
    if name is None:
        ending = f"-ipc{config.distill.ipc}{settled.variant}"
        name = free_name(folders.runs, name_from(dataset, ending))
    facts = {
        "source": settled.source,
        "device": on.description,
        "options": _options(folders, device),
        "arithmetic": on.facts(),
        "environment": environment(),
        "derive": list(settled.derive),
    }
    run = Run.create(folders.runs, name, config, facts)
    try:
        with or_elsewhere(folders.runs, "--runs-dir"), run.recording() as record:
            for text in settled.messages():
                record.write(Noted(text=text))
    except FileError:
        run.delete()
        raise
    return run


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
    options = _options(folders, device)
    if changed or options != run.manifest().options:
        with run.recording() as record:
            run.update(after, options=options)
            if EVALUATION_KEYS & set(changed):
                record.write(EvaluationChanged())
    return run
