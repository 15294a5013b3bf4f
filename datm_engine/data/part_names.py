"""The names by which people call the training, validation and test part of a dataset.

The same names are recognised for folders, parquet files, Hub splits and the keys of arrays.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Literal, TypeVar

Part = Literal["train", "validation", "test"]
Found = TypeVar("Found")

# Compared in lower case, with spaces and dashes as underscores.
NAMES: Mapping[Part, tuple[str, ...]] = {
    "train": ("train", "training", "train_set", "training_set", "trainset", "train_data",
              "training_data", "train_images", "training_images", "trn", "tr"),
    "validation": ("val", "valid", "validation", "val_set", "valid_set", "validation_set",
                   "valset", "val_data", "valid_data", "validation_data", "val_images",
                   "valid_images", "validation_images", "dev", "dev_set", "devel", "eval"),
    "test": ("test", "testing", "test_set", "testing_set", "testset", "test_data",
             "testing_data", "test_images", "testing_images", "tst"),
}  # fmt: skip
_PART_OF: Mapping[str, Part] = {name: part for part, names in NAMES.items() for name in names}


def part_of(name: str) -> Part | None:
    """The part that a folder, file or split of this name holds; None for any other name."""
    return _PART_OF.get(re.sub(r"[\s-]+", "_", name.strip().lower()))


def by_part(named: Iterable[tuple[str, Found]]) -> dict[Part, list[Found]]:
    """What was found, grouped by the part that its name states; other names are left out."""
    groups: dict[Part, list[Found]] = {}
    for name, found in named:
        part = part_of(name)
        if part is not None:
            groups.setdefault(part, []).append(found)
    return groups
