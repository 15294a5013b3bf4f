"""How many training images of each class are left, known before any image is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from datm_engine.data import dataset_names, datasets, splitting
from datm_engine.data.image_sets import TrainingLabels
from datm_engine.errors import DatmError
from datm_engine.settings.config import DatasetConfig


@dataclass(frozen=True)
class Remaining:
    """Training images without those that the settings leave out or hold out, int64 [classes]."""

    class_names: tuple[str, ...]
    counts: Tensor

    @property
    def total(self) -> int:
        return int(self.counts.sum())


def remaining(known: TrainingLabels, settings: DatasetConfig) -> Remaining:
    """What `datasets.load` leaves for training, apart from images that are damaged."""
    used, _, _ = splitting.split(
        known.labels,
        train_images=settings.train_images,
        validation=settings.validation,
        test=settings.test,
        seed=settings.seed,
        has_validation=known.has_validation,
        has_test=known.has_test,
    )
    counts = known.labels[used].bincount(minlength=len(known.class_names))
    return Remaining(known.class_names, counts)


def smallest_class(settings: DatasetConfig, data_dir: Path) -> tuple[str, int] | None:
    """The class with the fewest training images that are left, and their number; archives are
    unpacked. None where only loading the dataset shows it; loading also reports what is wrong."""
    try:
        place = dataset_names.locate(settings.name)
        known = datasets.training_labels(settings.name, data_dir=data_dir)
    except DatmError:
        return None
    if known is None:
        return None
    left = remaining(known, settings)
    fewest = int(left.counts.argmin())
    name = f"class {left.class_names[fewest]}" if place else f"a class of {settings.name}"
    return name, int(left.counts[fewest])
