"""Create a run and distil a dataset: what `datm distill` and programs in Python share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from datm_engine.compute.device_kind import is_cpu
from datm_engine.compute.threads import run_work
from datm_engine.data.description import describe, smallest_class
from datm_engine.errors import ConfigError, DataError, FileError, Setting
from datm_engine.files import or_elsewhere
from datm_engine.hints import HELP
from datm_engine.runs.directory import Folders, Run, free_name
from datm_engine.runs.events import Emit, Noted, WaitBegan, ignore
from datm_engine.runs.names import dataset_name
from datm_engine.settings.config import Config, nested
from datm_engine.settings.origins import Layer, SettingOrigin, Source
from datm_engine.settings.resolved import Request, Resolved, resolve

if TYPE_CHECKING:
    from datm_engine.compute.runtime import Runtime


def distill(
    dataset: str | Path,
    *,
    ipc: int,
    preset: str | None = None,
    settings: Mapping[str, Any] | None = None,
    runs_dir: str | Path = "runs",
    on_event: Emit | None = None,
) -> Run:
    """Distil a dataset to `ipc` images per class, and return the finished run.

    dataset: a name or a path. preset: chosen by dataset and ipc if None. settings: values over the
    preset's, by "table.key": {"distill.iterations": 500}. on_event: called with every event of the
    run, as it happens. Settings, folders and results are those of `datm distill`. Raises DatmError.
    """
    from datm_engine.compute.runtime import start
    from datm_engine.pipeline import make_distilled_set

    values = {"dataset.name": str(dataset), "distill.ipc": ipc, **(settings or {})}
    if odd := [key for key in values if "." not in key]:
        raise ConfigError(f"settings: {odd[0]!r} is not of the form table.key", HELP)
    layers = [Layer(nested(values), SettingOrigin(Source.OPTION, "settings"))]
    folders = Folders(runs=Path(runs_dir))
    request = Request(layers, preset, on_cpu=is_cpu("auto"))
    resolved = resolve(request, lambda name: describe(name, folders.data))
    runtime = start(work=run_work(resolved.config, resolved.shape))
    run = create_run(folders, None, resolved, {"device": "auto"}, runtime)

    with (
        deleted_if_refused(run, is_new=True),
        run.recording() as record,
        record.recorded(on_event or ignore) as emit,
    ):
        make_distilled_set(run.config(), run, folders, runtime, emit=emit)
    return run


def create_run(
    folders: Folders,
    name: str | None,
    resolved: Resolved,
    requested: Mapping[str, str],
    runtime: Runtime | None,
) -> Run:
    """Create a run and record where its settings come from.

    name: derived from dataset and ipc if None. requested: the device and how to compute, by the
    names of options. runtime: None for a run that another process computes, which then
    records its `runtime_facts`; torch is not loaded. Raises RunError, ConfigError or FileError;
    then no run is left.
    """
    config = resolved.config
    if config.experts.imported is not None:
        from datm_engine.experts.imported import origin_of

        origin_of(folders.experts / config.experts.imported)
    check_class_sizes(config, folders.data)
    if name is None:
        ending = f"-ipc{config.distill.ipc}{resolved.variant}"
        name = free_name(folders.runs, dataset_name(config.dataset.name, ending))
    facts = {
        "source": resolved.source,
        "presets": list(resolved.presets),
        "options": run_options(folders, requested),
        "derive": list(resolved.derive),
        **({} if runtime is None else runtime_facts(runtime)),
    }
    run = Run.create(folders.runs, name, config, facts)
    try:
        with or_elsewhere(folders.runs, "runs_dir"), run.recording() as record:
            for text in resolved.messages():
                record.write(Noted(text=text))
            if runtime is None:
                record.write(WaitBegan(what="loading torch in the process that computes"))
    except FileError:
        run.delete()
        raise
    return run


def runtime_facts(runtime: Runtime) -> dict[str, Any]:
    """What run.json records of the machine and the arithmetic of a run."""
    from datm_engine.compute.runtime import environment

    return {
        "device": runtime.description,
        "arithmetic": runtime.arithmetic,
        "environment": environment(),
    }


def run_options(folders: Folders, requested: Mapping[str, str]) -> dict[str, str]:
    """The folders and how to compute, as run.json records them for a run that is resumed."""
    return {
        "data_dir": str(folders.data.resolve()),
        "experts_dir": str(folders.experts.resolve()),
        **requested,
    }


def check_class_sizes(config: Config, data_dir: Path) -> None:
    """Raise DataError if a class is known to have fewer training images than `distill.ipc`."""
    known, ipc = smallest_class(config.dataset, data_dir), config.distill.ipc
    if known is not None and known[1] < ipc:
        name, count = known
        wrong = f"ipc {ipc} is more than {name} has: {count} training images"
        raise DataError(wrong, Setting("ipc", count))


@contextmanager
def deleted_if_refused(run: Run, *, is_new: bool) -> Iterator[None]:
    """Delete a new run if its settings or data turn out to be impossible before it produced
    anything. The hint is then a change of the command as it was typed, as the run is gone."""
    try:
        yield
    except (ConfigError, DataError, FileError) as problem:
        by_setting = isinstance(problem.fix, Setting) or not isinstance(problem, FileError)
        if is_new and by_setting and run.failed_early:
            run.delete()
            problem.command = ""
        raise
