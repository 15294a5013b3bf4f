"""Labelled images as tensors, and the parts of a dataset: training, validation and test.

Parts are recognised by the same names in folders, parquet files, splits of the Hub and keys of
arrays.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from datm_engine.runs.events import DatasetProgress, Emit

if TYPE_CHECKING:
    from torch import Tensor

PartName = Literal["train", "validation", "test"]
Value = TypeVar("Value")

# Compared in lower case, with spaces and dashes as underscores.
NAMES: Mapping[PartName, tuple[str, ...]] = {
    "train": ("train", "training", "train_set", "training_set", "trainset", "train_data",
              "training_data", "train_images", "training_images", "trn", "tr"),
    "validation": ("val", "valid", "validation", "val_set", "valid_set", "validation_set",
                   "valset", "val_data", "valid_data", "validation_data", "val_images",
                   "valid_images", "validation_images", "dev", "dev_set", "devel", "eval"),
    "test": ("test", "testing", "test_set", "testing_set", "testset", "test_data",
             "testing_data", "test_images", "testing_images", "tst"),
}  # fmt: skip
_PART_OF: Mapping[str, PartName] = {name: part for part, names in NAMES.items() for name in names}
# A dataset has train, and may have the others.
PARTS: tuple[PartName, ...] = ("train", "validation", "test")


def part_of(name: str) -> PartName | None:
    """Return the part that a folder, file or split of this name holds, or None."""
    return _PART_OF.get(re.sub(r"[\s-]+", "_", name.strip().lower()))


def by_part(named: Iterable[tuple[str, Value]]) -> dict[PartName, list[Value]]:
    """Group values by the part that their names state; other names are left out."""
    groups: dict[PartName, list[Value]] = {}
    for name, value in named:
        part = part_of(name)
        if part is not None:
            groups.setdefault(part, []).append(value)
    return groups


@dataclass(frozen=True)
class ImageSet:
    """Labelled images, as a dataset has them or as networks see them.

    `images`: [n, channels, height, width], uint8 or normalised. `labels`: int64
    [n], or soft ones [n, classes].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, indices: Tensor) -> ImageSet:
        return ImageSet(self.images[indices], self.labels[indices])


@dataclass(frozen=True)
class FullSet:
    """A whole dataset, before images are chosen or held out.

    `parts` has "train", and the others where they are labelled. A validation part without a test
    part serves as that, and is "test" here.
    """

    class_names: tuple[str, ...]
    parts: Mapping[PartName, ImageSet]


@dataclass(frozen=True)
class TrainingCounts:
    """How many training images each class has, known before any image is decoded.

    `counts`: int64 [classes], in the order of `class_names`. `parts`: all that the dataset has; for
    the others, images are held out of these.
    """

    class_names: tuple[str, ...]
    counts: NDArray[np.int64]
    parts: Collection[PartName]

    @classmethod
    def of_counts(cls, counts: Sequence[int]) -> TrainingCounts:
        """Return `counts` images of each class, for a dataset with a test part."""
        names = tuple(map(str, range(len(counts))))
        return cls(names, np.array(counts, np.int64), ("train", "test"))

    @classmethod
    def of_labels(
        cls, class_names: tuple[str, ...], labels: Sequence[int], parts: Collection[PartName]
    ) -> TrainingCounts:
        """Count labels [n], which index `class_names`."""
        return cls(class_names, np.bincount(labels, minlength=len(class_names)), parts)


def digest(class_names: tuple[str, ...], *parts: ImageSet) -> str:
    """Return the sha256 of all pixels, labels and class names; it names the folder of experts."""
    content = hashlib.sha256(json.dumps(class_names).encode())
    for part in parts:
        content.update(str(tuple(part.images.shape)).encode())
        content.update(part.images.contiguous().numpy().data)
        content.update(part.labels.contiguous().numpy().data)
    return content.hexdigest()


def from_torchvision(
    load: Callable[[bool], Any], what: str, class_names: tuple[str, ...] = (), *, emit: Emit
) -> FullSet:
    """Return a dataset of torchvision. `load` takes whether the training part is wanted.

    `class_names` are those of datasets that state none, or none that are used. Emits progress.
    """
    import torch

    parts: dict[PartName, ImageSet] = {}
    names: tuple[PartName, ...] = ("train", "test")
    for done, name in enumerate(names):
        emit(DatasetProgress(what=what, done=done, total=2))
        part = load(name == "train")
        # [n, 28, 28], [n, 32, 32, 3] or [n, 3, 32, 32] → [n, 1 or 3, height, width]
        images = torch.as_tensor(np.ascontiguousarray(part.data))
        if images.dim() == 3:
            images = images[:, None]
        elif images.shape[1] != 3:
            images = images.permute(0, 3, 1, 2).contiguous()
        labels = part.labels if hasattr(part, "labels") else part.targets
        parts[name] = ImageSet(images, torch.as_tensor(labels, dtype=torch.int64))
    emit(DatasetProgress(what=what, done=2, total=2))
    return FullSet(class_names or tuple(part.classes), parts)
