"""A pipeline so small that every test can run it."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

# Tensors here are too small for a second thread to pay, in child processes too. OpenMP reads it
# when torch is imported.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.runs.directory import Folders
from datm_engine.runs.events import Event, ignore
from datm_engine.settings import presets
from datm_engine.settings.config import Config, DatasetConfig, build, overlay

ROOT = Path(__file__).parents[1]

# Start the autograd engine before any test uses fake tensors, which have devices of their own: an
# engine that has started threads for these cannot be forked.
torch.ones((), requires_grad=True).backward()

TINY: dict[str, dict[str, Any]] = {
    "dataset": {"train_images": 200, "validation": 0.2},
    "network": {"width": 4},
    "experts": {"count": 2, "epochs": 4, "batch": 64, "optimizer": "sgd"},
    "distill": {
        "iterations": 8,
        "syn_steps": 3,
        "expert_epochs": 1,
        "min_start_epoch": 0,
        "initial_max_start_epoch": 2,
        "max_start_epoch": 3,
        "expansion_iterations": 4,
        "batch_syn": 4,
        "threshold": 5.0,
        "checkpoint_seconds": 0.0,
        "sample_interval": 4,
    },
    "evaluate": {
        "epochs": 3,
        "full_epochs": 1,
        "full_repeats": 1,
        "repeats": 2,
        "selection_interval": 3,
        "against": ["random"],
    },
}


def tiny_config(**over: dict[str, Any]) -> Config:
    """The digits preset made tiny; tables given as keywords go over it."""
    tables = overlay(overlay(presets.load("digits-ipc1"), TINY), over)
    return build(tables, "the tests' settings")


def dataset_settings(name: object, **over: Any) -> DatasetConfig:
    """Settings that use every image and hold none out, unless `over` states it; not validated."""
    values = {
        "name": str(name),
        "resolution": "native",
        "train_images": "all",
        "validation": 0.0,
        "test": 0.2,
        "skip_damaged": False,
        "seed": 0,
        "preprocessing": "normalize",
    }
    return DatasetConfig.model_construct(**(values | over))


def finish(stage: Any, *given: Any, **how: Any) -> tuple[list[Event], Any]:
    """Every event of a stage that is called with `emit`, and its result."""
    seen: list[Event] = []
    return seen, stage(*given, **how, emit=seen.append)


@pytest.fixture
def finished() -> Callable[..., tuple[list[Event], Any]]:
    return finish


@pytest.fixture
def make_config() -> Callable[..., Config]:
    return tiny_config


@pytest.fixture
def cpu() -> Runtime:
    return Runtime(torch.device("cpu"))


@pytest.fixture(scope="session")
def data_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("data")


@pytest.fixture
def folders(tmp_path: Path, data_dir: Path) -> Folders:
    return Folders(data=data_dir, experts=tmp_path / "experts", runs=tmp_path / "runs")


@pytest.fixture(scope="session")
def digits(data_dir: Path) -> PreparedData:
    """The tiny configuration's data."""
    return prepare(tiny_config().dataset, data_dir, Runtime(torch.device("cpu")), emit=ignore)


@pytest.fixture(autouse=True)
def one_thread() -> None:
    """Whatever an earlier test has set."""
    torch.set_num_threads(1)
