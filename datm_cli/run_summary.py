"""A run as `datm compare` and `datm report` show it."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from datm_cli.target import find
from datm_engine.errors import ConfigError
from datm_engine.hints import command
from datm_engine.runs.directory import Run
from datm_engine.runs.manifest import Manifest
from datm_engine.runs.state import RunState
from datm_engine.settings.config import Config

# The sets that networks are trained on, by the name of their row, and what they consist of.
SETS = {
    "distilled": "chosen among the candidates",
    "distilled-last": "as it was at the last iteration",
    "random": "as many random real images",
    "herding": "as many, whose mean comes nearest to the class's",
    "kcenter": "as many, spread over the class",
    "forgetting": "as many, which experts forget most often",
    "el2n": "as many, on which experts err most early on",
    "full": "all training images",
}


@dataclass(frozen=True)
class RunSummary:
    """A run's settings, manifest, status and state, read once."""

    run: Run
    config: Config
    manifest: Manifest
    status: str
    state: RunState

    @classmethod
    def of(cls, run: Run) -> RunSummary:
        """Raises RunError or ConfigError for a damaged run."""
        state = run.state()
        status = run.process_status() or state.status
        return cls(run, run.config(), run.manifest(), status, state)

    @property
    def iterations(self) -> int:
        """Iterations of the whole run."""
        return self.config.distill.iterations

    @property
    def disk(self) -> int:
        """Bytes of the run's files. Its experts are stored elsewhere."""
        size = 0
        for folder, _, names in os.walk(self.run.path):  # skips a folder that is removed meanwhile
            for name in names:
                with suppress(FileNotFoundError):  # a temporary file of a running engine
                    size += os.stat(os.path.join(folder, name)).st_size
        return size

    @property
    def device(self) -> str:
        started = self.state.started
        return self.manifest.device or (started.device if started else "unknown")


def find_run(target: str, runs_dir: Path, purpose: str) -> Run:
    """The run of that name or in that folder. `purpose`: what files lack, for the message.

    Raises ConfigError for a distilled set's file, RunError if there is neither.
    """
    found = find(target, runs_dir)
    if not isinstance(found, Run):
        wrong = f"{target} is a file: only runs have {purpose}"
        raise ConfigError(wrong, command("datm", "inspect", target))
    return found
