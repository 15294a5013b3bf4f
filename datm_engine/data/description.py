"""Describe a dataset before its images are decoded: shape, classes, number of training images.

Settings are resolved from this description.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_engine.data import datasets
from datm_engine.data.class_counts import evenly, held_out
from datm_engine.data.image_sets import TrainingCounts
from datm_engine.errors import ConfigError, DatmError
from datm_engine.hints import HELP
from datm_engine.settings.config import DatasetConfig
from datm_engine.settings.image_size import Shape


@dataclass(frozen=True)
class Description:
    """What settings are chosen by. `name`: of a built-in dataset, or an absolute path."""

    name: str
    shape: Shape
    data_dir: Path

    @property
    def is_built_in(self) -> bool:
        return self.name in datasets.NAMES

    def training_images(self, settings: DatasetConfig) -> int | None:
        """Return how many images these settings leave to train on, or None for the Hub."""
        known = datasets.training_counts(self.name, data_dir=self.data_dir)
        return None if known is None else max(1, int(remaining(known, settings).sum()))

    def has_validation(self) -> bool | None:
        """Return whether it has a validation part, or None for the Hub."""
        known = datasets.training_counts(self.name, data_dir=self.data_dir)
        return None if known is None else "validation" in known.parts


def describe(dataset: str, data_dir: Path) -> Description:
    """Describe a dataset. Archives are unpacked.

    Raises ConfigError for a wrong name, DataError for files that are no dataset.
    """
    name = full_name(dataset)
    return Description(name, datasets.peek(name, data_dir=data_dir), data_dir)


def full_name(dataset: str) -> str:
    """Make a path absolute; keep other names. Raises ConfigError if empty."""
    if not dataset.strip():
        raise ConfigError("the dataset's name is empty", HELP)
    if dataset in datasets.NAMES or not os.path.exists(dataset):
        return dataset
    return str(Path(dataset).resolve())


def remaining(known: TrainingCounts, settings: DatasetConfig) -> NDArray[np.int64]:
    """Count the training images of each class that `datasets.load` leaves, int64 [classes].

    Damaged images are counted too. Loads torch only where its random draws decide which classes
    get one image more than the others.
    """
    used, count = known.counts, settings.train_images
    if "test" not in known.parts:
        used = used - held_out(used, settings.test)
    if count != "all":
        chosen = evenly(used, count)
        if chosen is None:
            from datm_engine.data import splitting

            every = np.repeat(np.arange(len(known.counts)), known.counts)
            return splitting.counts_left(every, settings, known.parts)
        used = chosen
    return used if "validation" in known.parts else used - held_out(used, settings.validation)


def smallest_class(settings: DatasetConfig, data_dir: Path) -> tuple[str, int] | None:
    """Return the class with the fewest training images that are left, and their number.

    Returns None if only loading the dataset shows it. Archives are unpacked.
    """
    try:
        path = datasets.locate(settings.name)
        known = datasets.training_counts(settings.name, data_dir=data_dir)
    except DatmError:  # loading reports it
        return None
    if known is None:
        return None
    counts = remaining(known, settings)
    fewest = int(counts.argmin())
    name = f"class {known.class_names[fewest]}" if path else f"a class of {settings.name}"
    return name, int(counts[fewest])
