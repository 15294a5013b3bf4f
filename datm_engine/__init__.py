"""Dataset distillation by difficulty-aligned trajectory matching.

    dataset ──► experts ──► distill ──► evaluate

    data/           images by name, folder or file; preprocessing; augmentation
    networks/       networks as functions of one flat vector of weights
    experts/        train on real images, keep the weights after every epoch
    distillation/   match those trajectories; `matching.py` is the heart
    evaluation/     train on the result, test, compare with real images
    pipeline.py     the four in a row, as one generator of events
    runs.py         the directory that records them

Public names: `SyntheticSet`, the product; `DatmError`, all that can go wrong.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from datm_engine.errors import DatmError
from datm_engine.version import __version__

if TYPE_CHECKING:
    from datm_engine.synthetic import SyntheticSet

__all__ = ["DatmError", "SyntheticSet", "__version__"]


def __getattr__(name: str) -> Any:
    """`SyntheticSet` brings torch, which takes seconds: imported when it is asked for."""
    if name == "SyntheticSet":
        from datm_engine.synthetic import SyntheticSet

        return SyntheticSet
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
