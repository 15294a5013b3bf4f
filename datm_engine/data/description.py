"""What is known of a dataset before its images are decoded, to resolve settings by."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data import datasets
from datm_engine.data.class_sizes import remaining
from datm_engine.errors import ConfigError
from datm_engine.hints import HELP
from datm_engine.settings.config import DatasetConfig
from datm_engine.settings.image_size import Shape


@dataclass(frozen=True)
class Description:
    """`name`: of a built-in dataset, or an absolute path, which holds from any folder."""

    name: str
    shape: Shape
    data_dir: Path

    @property
    def is_built_in(self) -> bool:
        return self.name in datasets.NAMES

    def training_images(self, settings: DatasetConfig) -> int | None:
        """How many images these settings leave to train on; None for a dataset of the Hub."""
        known = datasets.training_labels(self.name, data_dir=self.data_dir)
        return None if known is None else max(1, remaining(known, settings).total)

    def has_validation(self) -> bool | None:
        """Whether it has a validation part; None for a dataset of the Hub."""
        known = datasets.training_labels(self.name, data_dir=self.data_dir)
        return None if known is None else known.has_validation


def describe(dataset: str, data_dir: Path) -> Description:
    """A dataset's description. Archives are unpacked. Raises ConfigError for a wrong name, and
    DataError for files that are none."""
    name = full_name(dataset)
    return Description(name, datasets.peek(name, data_dir=data_dir), data_dir)


def full_name(dataset: str) -> str:
    """A built-in dataset's name as it is, a path made absolute. Raises ConfigError if empty."""
    if not dataset.strip():
        raise ConfigError("the dataset's name is empty", HELP)
    if dataset in datasets.NAMES or not os.path.exists(dataset):
        return dataset
    return str(Path(dataset).resolve())
