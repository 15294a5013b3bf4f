"""The interface of every source of a dataset."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data.decoding.image_file import Size
from datm_engine.data.image_sets import FullSet, TrainingCounts
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape


@dataclass(frozen=True)
class LoadOptions:
    """How a dataset is loaded.

    `name`: the dataset's name in messages. `resolution`: width and height, or None to keep the
    size of the images. With `skip_damaged`, damaged images are skipped and reported. Decoded images
    and downloads are stored in `data_dir`.
    """

    name: str
    data_dir: Path
    resolution: Size | None
    skip_damaged: bool


class DatasetSource(ABC):
    """A dataset that can be loaded. Every method raises DataError for data that cannot be used."""

    @abstractmethod
    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Load all images. The caller resizes those that are not decoded."""

    @abstractmethod
    def shape(self) -> Shape:
        """Return classes, channels and size, as far as they are known before decoding."""

    @abstractmethod
    def training_counts(self) -> TrainingCounts | None:
        """Count the training images of each class without decoding them. None if unknown."""


class DatasetReader(DatasetSource):
    """A dataset in a file or a folder. A subclass reads one format; registry.py lists them."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @staticmethod
    @abstractmethod
    def recognizes(path: Path) -> bool:
        """Return whether a file or folder has this format."""
