"""One run of several that a study or a tune makes: start it, or resume it where it was."""

from __future__ import annotations

from datm_cli.options import ComputeOptions
from datm_cli.resolve import GivenSettings
from datm_cli.session import prepare_run
from datm_engine import api
from datm_engine.compute.runtime import Runtime
from datm_engine.compute.threads import run_work
from datm_engine.pipeline import Folders
from datm_engine.runs.directory import Run
from datm_engine.settings.origins import Tables
from datm_engine.settings.resolved import Resolved


def is_started(run: Run) -> bool:
    """Whether there is a run to resume. One that failed without a checkpoint is made again."""
    return (run.path / "run.json").is_file() and not run.failed_early


def open_run(
    folders: Folders, name: str, settled: Resolved, compute: ComputeOptions, flags: Tables
) -> tuple[Run, Runtime]:
    """Create the run with the settings `settled`, or open it to resume, where `flags` change its
    settings as those of `datm distill --resume` do. Raises DatmError."""
    run = Run(folders.runs / name)
    device = compute.device or "auto"
    work = run_work(settled.config, settled.shape)
    if not is_started(run):
        on = compute.start(None, work)
        return api.create_run(folders, name, settled, device, on), on
    on = compute.start(run.manifest().arithmetic.model_dump(), work)
    given = GivenSettings(folders.data, flags=flags)
    return prepare_run.resumed_run(folders, name, given, device), on
