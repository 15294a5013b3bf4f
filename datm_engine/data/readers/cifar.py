"""cifar-10-batches-py and cifar-100-python, the folders of CIFAR's archives.

Their files are pickles, which can run code: they are read only where torchvision finds the
checksums of the published files.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from datm_engine.data.built_in import BUILT_IN, image_set
from datm_engine.data.image_sets import FullSet, TrainingLabels
from datm_engine.data.readers import array_files
from datm_engine.errors import DataError
from datm_engine.hints import command
from datm_engine.runs.events import DatasetProgress, Emit
from datm_engine.settings.image_size import Shape


def is_here(place: Path) -> bool:
    return place.is_dir() and _classes(place) is not None


def load(place: Path, name: str, *, emit: Emit) -> FullSet:
    """Raises DataError for files that are missing, or not as they were published."""
    import torchvision.datasets

    published: Any = getattr(torchvision.datasets, f"CIFAR{_classes(place)}")
    kind = type(published.__name__, (published,), {"base_folder": place.name})
    parts = []
    for done, train in enumerate((True, False)):
        emit(DatasetProgress(what=f"reading {name}", done=done, total=2))
        with array_files.reading(place, "folder of CIFAR"):
            try:
                parts.append(kind(root=str(place.parent), train=train, download=False))
            except RuntimeError:  # before a file is unpickled
                raise _not_published(place, published.filename) from None
    emit(DatasetProgress(what=f"reading {name}", done=2, total=2))
    return FullSet(tuple(parts[0].classes), *(image_set(part) for part in parts))


def peek(place: Path) -> Shape:
    return BUILT_IN[f"cifar{_classes(place)}"].shape


def training_labels(place: Path) -> TrainingLabels:
    """Those of the published files, in another order."""
    return BUILT_IN[f"cifar{_classes(place)}"].training_labels


def _classes(place: Path) -> int | None:
    """By the names of the files: 10, 100, or None for no such folder."""
    if (place / "batches.meta").is_file() and (place / "data_batch_1").is_file():
        return 10
    files = all((place / name).is_file() for name in ("meta", "train", "test"))
    return 100 if files else None


def _not_published(place: Path, archive: str) -> DataError:
    return DataError(
        f"{place}: a file is missing or not as published (its checksum differs), and is not read: "
        "it is a pickle, which could run code",
        command("wget", "-N", "-P", place.parent, f"https://www.cs.toronto.edu/~kriz/{archive}"),
    )
