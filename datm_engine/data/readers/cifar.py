"""Read cifar-10-batches-py and cifar-100-python, the folders in CIFAR's archives.

Their files are pickles, which can run code. They are read only if torchvision finds the checksums
of the published files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datm_engine.data.image_sets import FullSet, TrainingCounts, from_torchvision
from datm_engine.data.readers.reader import DatasetReader, LoadOptions
from datm_engine.errors import DataError
from datm_engine.files import damage_as_error
from datm_engine.hints import command
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape


class CifarReader(DatasetReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_dir() and _classes(path) is not None

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Raises DataError for files that are missing, or not as they were published."""
        import torchvision.datasets

        published: Any = getattr(torchvision.datasets, f"CIFAR{_classes(self.path)}")
        # A subclass reads the files in a folder of any name.
        kind = type(published.__name__, (published,), {"base_folder": self.path.name})

        def load(train: bool) -> Any:
            with damage_as_error(self.path, "folder of CIFAR"):
                try:
                    return kind(root=str(self.path.parent), train=train, download=False)
                except RuntimeError:  # raised before a file is unpickled
                    archive = f"https://www.cs.toronto.edu/~kriz/{published.filename}"
                    raise DataError(
                        f"{self.path}: a file is missing or not as published (its checksum "
                        "differs), and is not read: it is a pickle, which could run code",
                        command("wget", "-N", "-P", self.path.parent, archive),
                    ) from None

        return from_torchvision(load, f"reading {options.name}", emit=emit)

    def shape(self) -> Shape:
        return Shape(_classes(self.path) or 10, 3, 32, 32)

    def training_counts(self) -> TrainingCounts:
        """Return labels of as many images as CIFAR has of each class, in another order."""
        classes = _classes(self.path) or 10
        return TrainingCounts.of_counts((50_000 // classes,) * classes)


def _classes(path: Path) -> int | None:
    """Return 10 or 100 by the names of the files, or None for another folder."""
    if (path / "batches.meta").is_file() and (path / "data_batch_1").is_file():
        return 10
    return 100 if all((path / name).is_file() for name in ("meta", "train", "test")) else None
