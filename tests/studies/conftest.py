"""Studies of the tiny configuration, and their runs as if they had been made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Evaluated, RunEnded
from datm_engine.studies.study_plan import PlannedRun, StudyPlan, plan_windows
from tests.conftest import tiny_config


def row(
    name: str, mean: float, std: float = 1.0, repeats: int = 5, network: str = "convnet"
) -> Evaluated:
    return Evaluated(
        set=name,
        network=network,
        accuracy_mean=mean,
        accuracy_std=std,
        repeats=repeats,
        images=10,
    )


def recorded_run(
    runs_dir: Path, planned: PlannedRun, rows: Sequence[Evaluated], status: str = "done"
) -> Run:
    """A run directory that states these rows, and how it ended."""
    facts = {"arithmetic": Runtime(torch.device("cpu")).arithmetic}
    run = Run.create(runs_dir, planned.name, planned.config, facts)
    with run.recording() as record:
        for one in rows:
            record.write(one)
        record.write(RunEnded(status=status, iteration=8, message="why" * (status == "failed")))
    return run


def recorded_study(
    runs_dir: Path, plan: StudyPlan, means: Mapping[tuple[str, int], float], std: float = 1.0
) -> None:
    """Every run of the plan for which there is an accuracy, with 70 for random images and 99 for
    all."""
    for planned in plan.runs:
        mean = means.get((planned.variant, planned.ipc))
        if mean is not None:
            rows = [row("random", 70.0), row("full", 99.0, 0.5), row("distilled", mean, std)]
            recorded_run(runs_dir, planned, rows)


@pytest.fixture
def windows() -> StudyPlan:
    """Of 1, 2 and 5 per class."""
    against = {"against": ["random", "full"]}
    configs = {ipc: tiny_config(distill={"ipc": ipc}, evaluate=against) for ipc in (1, 2, 5)}
    return plan_windows("digits", configs)
