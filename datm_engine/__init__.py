"""Dataset distillation by difficulty-aligned trajectory matching.

    dataset ──► experts ──► calibration ──► distill ──► evaluate

    data/           images by name, folder or file; preprocessing; augmentation
    networks/       networks as functions of one flat vector of weights
    training/       losses, optimizers, and the loop that trains one network
    experts/        train on real images, keep the weights after every epoch
    calibration/    settings that follow from the experts
    distillation/   match those trajectories; `matching.py` is the core
    evaluation/     train on the result, test, compare with real images
    pipeline.py     all of these in order, for one run
    runs/           the directory that records a run

Public names: `distill`, which makes a run; `Run`, its directory; `SyntheticSet`, its product;
`Config`, its settings; `DatmError`, what all errors of users are, and `Setting`, what fixes one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from datm_engine.errors import DatmError, Setting
from datm_engine.version import __version__

if TYPE_CHECKING:
    from datm_engine.api import distill
    from datm_engine.runs.directory import Run
    from datm_engine.settings.config import Config
    from datm_engine.synthetic import SyntheticSet

__all__ = ["Config", "DatmError", "Run", "Setting", "SyntheticSet", "__version__", "distill"]

# Imported when they are asked for: torch takes seconds.
_MODULES = {
    "Config": "datm_engine.settings.config",
    "Run": "datm_engine.runs.directory",
    "SyntheticSet": "datm_engine.synthetic",
    "distill": "datm_engine.api",
}


def __getattr__(name: str) -> Any:
    if name in _MODULES:
        return getattr(importlib.import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
