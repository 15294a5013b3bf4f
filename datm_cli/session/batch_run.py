"""One run of several that a study or a tune makes: start it, or resume it where it was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from datm_cli.resolve import Settings, Tables
from datm_cli.session import prepare_run
from datm_engine.compute import runtime
from datm_engine.compute.runtime import Runtime
from datm_engine.pipeline import Folders
from datm_engine.runs.directory import Run


@dataclass(frozen=True)
class ComputeOptions:
    """The options of these names, as they were given."""

    device: str | None
    precision: str
    compiling: str
    memory: str
    threads: str = "auto"

    def start(self, before: Mapping[str, Any] | None, work: float) -> Runtime:
        """The runtime for a run. before: the arithmetic of the run if it resumes. work:
        multiply-adds of the forward pass of a student's step."""
        return runtime.start(
            self.device or "auto",
            self.precision,
            self.compiling,
            self.memory,
            before,
            threads=self.threads,
            work=work,
        )


def is_started(run: Run) -> bool:
    """Whether there is a run to resume. One that failed without a checkpoint is made again."""
    return (run.path / "run.json").is_file() and not run.was_in_vain


def open_run(
    folders: Folders, name: str, settled: Settings, compute: ComputeOptions, flags: Tables
) -> tuple[Run, Runtime]:
    """Create the run with the settings `settled`, or open it to resume, where `flags` change its
    settings as those of `datm distill --resume` do. Raises DatmError."""
    run = Run(folders.runs / name)
    device = compute.device or "auto"
    if not is_started(run):
        on = compute.start(None, settled.run_work)
        return prepare_run.new_run(folders, name, settled, device, on), on
    on = compute.start(prepare_run.arithmetic_of(run), settled.run_work)
    given: dict[str, Any] = dict.fromkeys(("dataset", "ipc", "config_file"))
    given |= {"assignments": [], "flags": flags}
    return prepare_run.resumed_run(folders, name, given, device), on
