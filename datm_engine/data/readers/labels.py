"""Convert labels, whole numbers or names of classes, to class numbers from 0.

Parquet files, Hub datasets and files of arrays follow the same rules.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from datm_engine.data.image_sets import PartName, TrainingCounts
from datm_engine.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor

Values = list[int] | list[str]
Pieces = Sequence[tuple[str, Sequence[Any]]]  # pairs of a file's name and its labels


def read(pieces: Pieces, fix: str) -> Values | None:
    """Check the labels of one part. Returns None if it has none (all null, empty or negative).

    `fix` is the command that errors suggest. Raises DataError for a part of which only some rows
    have labels, and for a label that is neither a whole number nor a string.
    """
    labels: list[Any] = []
    missing = ""
    rows = ((source, row, value) for source, values in pieces for row, value in enumerate(values))
    for source, row, value in rows:
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        is_number = isinstance(value, int | float)
        if value is None or value == "" or (is_number and (value < 0 or math.isnan(value))):
            missing = missing or f"{source} row {row} has no label ({value!r})"
        elif isinstance(value, str):
            labels.append(value)
        elif isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
            labels.append(int(value))
        else:
            raise DataError(
                f"{source} row {row} has the label {str(value)[:60]}, which is neither a whole "
                "number nor the name of a class",
                fix,
            )
    if labels and missing:
        raise DataError(
            f"{missing}, but {len(labels):,} other rows of this part have one; "
            "remove the rows without labels",
            fix,
        )
    return labels or None


@dataclass(frozen=True)
class Labels:
    """The labels of the parts that are used.

    `numbers`: int64 [n] of each part, which index `class_names`. `stored`: under which part's name
    the dataset has it, {"train": "train", "test": "validation"} for example. `notes`: what is not
    used.
    """

    class_names: tuple[str, ...]
    numbers: Mapping[PartName, Tensor]
    stored: Mapping[PartName, PartName]
    notes: tuple[str, ...]

    def of_training(self) -> TrainingCounts:
        train = self.numbers["train"].tolist()
        return TrainingCounts.of_labels(self.class_names, train, tuple(self.numbers))


def resolve(
    name: str,
    labels: Mapping[PartName, Values | None],
    class_names: tuple[str, ...] | None,
    fix: str,
) -> Labels:
    """Decide which parts serve as training, validation and test part; number their classes.

    `labels` are what `read` returns. Without a labelled test part, the validation part is the test
    part. Raises DataError as `_class_numbers` does, and without a labelled training part.
    """
    if labels.get("train") is None:
        lacks = "has no labels in its train part" if "train" in labels else "has no train part"
        others = [part for part in labels if part != "train"]
        beside = f", only {', '.join(others)}" if others and "train" not in labels else ""
        raise DataError(f"{name} {lacks}{beside}", fix)
    held = {part: values for part, values in labels.items() if values is not None}
    notes = [
        f"{name}: its {part} part has no labels and is not used"
        for part in labels
        if part not in held
    ]
    stored: dict[PartName, PartName] = {part: part for part in held}
    if "validation" in held and "test" not in held:
        stored = {"train": "train", "test": "validation"}
        lack = "no labelled test part" if "test" in labels else "no test part"
        notes.append(f"{name} has {lack}: its validation part is used as the test part")
    used = {part: held[stored[part]] for part in stored}
    class_names, numbers = _class_numbers(name, used, class_names, fix)
    return Labels(class_names, numbers, stored, tuple(notes))


def _class_numbers(
    name: str, labels: Mapping[PartName, Values], class_names: tuple[str, ...] | None, fix: str
) -> tuple[tuple[str, ...], dict[PartName, Tensor]]:
    """Return the names of the classes, and the labels of each part as int64 [n] that index them.

    Without `class_names`, strings are classes sorted by name, and numbers from 0 or 1 their own
    names. Raises DataError for a label that is no class, and a class without training images.
    """
    import torch

    every: list[Any] = [value for values in labels.values() for value in values]
    kinds = {type(value) for value in every}
    if kinds == {int, str}:
        raise DataError(f"{name} has labels that are numbers and labels that are strings", fix)
    first = 0
    if kinds == {str}:
        # Names that a file states are used only if they are those of the labels.
        if class_names is None or not set(labels["train"]) <= set(class_names):
            class_names = tuple(sorted(map(str, set(labels["train"]))))
    elif class_names is None:
        # Numbers from 1 to the number of classes, as in MATLAB, count from 1; all others from 0.
        first = 1 if min(every) == 1 and len(set(labels["train"])) == max(every) else 0
        # A label beyond what the images could fill is refused, and makes no list of its length.
        class_names = tuple(map(str, range(first, min(max(every), len(every)) + 1)))
    known = class_names if kinds == {str} else range(first, first + len(class_names))
    index: dict[Any, int] = {value: number for number, value in enumerate(known)}
    unknown = next((value for value in every if value not in index), None)
    if unknown is not None:
        last = len(class_names) - 1
        wanted = f"outside 0 to {last}" if kinds == {int} else "which train does not have"
        raise DataError(f"{name} has a label {unknown}, {wanted}", fix)
    numbers = {part: torch.tensor([index[v] for v in values]) for part, values in labels.items()}
    counts = torch.bincount(numbers["train"], minlength=len(class_names))  # [classes]
    if not counts.all():
        empty = class_names[int(counts.argmin())]
        raise DataError(f"{name}: train has no image of class {empty}", fix)
    if len(class_names) < 2:
        raise DataError(f"{name} has 1 class, at least 2 are needed", fix)
    return class_names, numbers
