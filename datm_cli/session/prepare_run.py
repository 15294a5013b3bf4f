"""A new run, or an earlier one that goes on; with what it states before it begins."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_cli.resolve import GivenSettings, read_config
from datm_engine.compute.runtime import Runtime, environment
from datm_engine.data.class_sizes import smallest_class
from datm_engine.distillation.distilled_sets import progress
from datm_engine.errors import ConfigError, DataError, FileError
from datm_engine.experts.imported import origin_of
from datm_engine.files import or_elsewhere
from datm_engine.runs.directory import Run, free_name
from datm_engine.runs.events import EvaluationChanged, Noted
from datm_engine.runs.names import made
from datm_engine.settings.config import Config, build, differences, overlay
from datm_engine.settings.resolved import Resolved

if TYPE_CHECKING:
    from datm_engine.pipeline import Folders

# What may differ when a run goes on: nothing that has been used so far.
COMPARED = {
    *(f"evaluate.{key}" for key in ("networks", "repeats", "against", "real_lr")),
    *(f"evaluate.{key}" for key in ("full_epochs", "full_repeats")),
}
_FREE = {"distill.iterations"} | COMPARED


def places(
    runs_dir: Path, name: str, data: Path | None, experts: Path | None, device: str | None
) -> tuple[Path | None, Path | None, str | None]:
    """The data folder, the experts' folder and the device: those that are given, else those that
    the run to go on with has used. Raises RunError if there is none or it is damaged."""
    used = Run.open(runs_dir, name).facts().get("places", {})

    def folder(given: Path | None, key: str) -> Path | None:
        return given or (Path(used[key]) if key in used else None)

    return folder(data, "data_dir"), folder(experts, "experts_dir"), device or used.get("device")


def _stated(folders: Folders, device: str) -> dict[str, str]:
    """`places` as run.json has them, named as the flags are."""
    return {
        "data_dir": str(folders.data.resolve()),
        "experts_dir": str(folders.experts.resolve()),
        "device": device,
    }


def check_ipc(config: Config, data_dir: Path) -> None:
    """Raises DataError where a class is known to have fewer images than are asked for."""
    known, ipc = smallest_class(config.dataset, data_dir), config.distill.ipc
    if known is not None and known[1] < ipc:
        name, count = known
        wrong = f"ipc {ipc} is more than {name} has: {count} training images"
        raise DataError(wrong, f"--ipc {count}")


@contextmanager
def discarded_if_refused(run: Run, *, is_new: bool) -> Iterator[None]:
    """Remove a new run that settings or data turn out to be impossible for, and that has made
    nothing yet. The hint then changes the command that was typed: the run's settings are gone."""
    try:
        yield
    except (ConfigError, DataError, FileError) as problem:
        by_option = bool(problem.change) or not isinstance(problem, FileError)
        if is_new and by_option and run.was_in_vain:
            run.discard()
            problem.hint = problem.change or problem.hint
        raise


def new_run(folders: Folders, name: str | None, settled: Resolved, device: str, on: Runtime) -> Run:
    """`device` as it was asked for. Raises RunError, ConfigError or
    FileError where the run cannot be made; nothing is left of it then."""
    config = settled.config
    if config.experts.imported is not None:
        origin_of(folders.experts / config.experts.imported)
    check_ipc(config, folders.data)
    dataset = Path(config.dataset.name).stem or "images"
    if name is None:
        ending = f"-ipc{config.distill.ipc}{settled.variant}"
        name = free_name(folders.runs, made(dataset, ending))
    facts = {
        "source": settled.source,
        "device": on.description,
        "places": _stated(folders, device),
        "arithmetic": on.facts(),
        "environment": environment(),
        **({"derive": settled.derive} if settled.derive else {}),
    }
    run = Run.create(folders.runs, name, config, facts)
    try:
        with or_elsewhere(folders.runs, "--runs-dir"), run.recording() as record:
            for text in settled.messages():
                record.write(Noted(text=text))
    except FileError:
        run.discard()
        raise
    return run


def arithmetic(folders: Folders, name: str) -> dict[str, Any]:
    """What a run that goes on keeps of how it computes."""
    return arithmetic_of(Run.open(folders.runs, name))


def arithmetic_of(run: Run) -> dict[str, Any]:
    """How a run computes. Runs from before there was a choice computed plainly."""
    plainly = {"precision": "float32", "memory": 0, "compile": "off", "compiled": {}}
    return {**plainly, **run.facts().get("arithmetic", {})}


def resumed_run(folders: Folders, name: str, given: GivenSettings, device: str) -> Run:
    """The run, with its own configuration but for what may differ: more iterations, and what the
    result is compared with at the end. Raises ConfigError for any other difference."""
    run = Run.open(folders.runs, name)
    before = run.config()
    over = read_config(given.config_file)[0] if given.config_file else {}
    over = overlay(over, given.overrides())
    after = build(overlay(before.model_dump(), over), f"--resume {name}")
    changed = differences(before, after)
    if fixed := {key: values for key, values in changed.items() if key not in _FREE}:
        told = ", ".join(f"{key} was {was!r}, not {now!r}" for key, (was, now) in fixed.items())
        raise ConfigError(
            f"run {name} has other settings: {told}",
            f"{run.resuming}   # without them, or leave out --resume for a new run",
        )
    done = progress(run).iteration
    if after.distill.iterations < done:
        raise ConfigError(
            f"run {name} has done {done} iterations, more than {after.distill.iterations}",
            f"{run.resuming} --iterations {done}",
        )
    places = _stated(folders, device)
    if changed or places != run.facts().get("places"):
        with run.recording() as record:
            run.restate(after, places=places)
            if COMPARED & set(changed):
                record.write(EvaluationChanged())
    return run
