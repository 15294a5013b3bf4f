"""Read datasets in arrays: the base of the readers of .npz, .mat and idx files.

Images of any usual order of axes and type become uint8 [n, 1 or 3, height, width].

Arrays are recognised by their names: train_images with train_labels, x_test with y_test, val_images
with val_labels, images with labels.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from datm_engine.data.decoding.image_file import bits_of
from datm_engine.data.image_sets import FullSet, ImageSet, PartName, TrainingCounts, part_of
from datm_engine.data.readers import labels
from datm_engine.data.readers.reader import DatasetReader, LoadOptions
from datm_engine.errors import DataError
from datm_engine.formatting import some_of
from datm_engine.hints import command
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.image_size import Shape

Array = NDArray[Any]
Shapes = Mapping[str, tuple[int, ...]]
Read = Callable[[Sequence[str]], Mapping[str, Array]]
_IMAGES = {"images", "image", "imgs", "x", "data"}
_LABELS = {"labels", "label", "y", "targets", "target"}


@dataclass(frozen=True)
class Arrays:
    """One part of a dataset: the shape of its images, a function that reads them, and the labels.

    `source` names the file and the array in messages. `labels`: [n], [n, 1], [1, n] or one-hot rows
    [n, classes]. `last_axis` states that the last axis numbers the images, as in MATLAB's files.
    """

    source: str
    shape: tuple[int, ...]
    images: Callable[[], Array]
    labels: Array
    last_axis: bool = False

    def __len__(self) -> int:
        """Return the number of labels."""
        is_column = self.labels.ndim == 2 and 1 in self.labels.shape
        return self.labels.size if is_column or not self.labels.ndim else len(self.labels)


@dataclass(frozen=True)
class Contents:
    """A dataset of arrays: its parts, the names of its classes where they are known, and notes."""

    parts: Mapping[PartName, Arrays]
    class_names: tuple[str, ...] | None = None
    notes: tuple[str, ...] = ()


def paired(path: Path, shapes: Shapes, read: Read, wanted: str, fix: str) -> Contents:
    """Pair the arrays of images and of labels in a file, by their names.

    `shapes`: of all arrays by name. `read` returns the arrays of the names that are given. Arrays
    whose names state no part are the training part. A part without both arrays is left out, and
    arrays that are not used are noted. Raises DataError if there is no pair: `wanted` are the names
    that the file should have.
    """
    by_part: dict[PartName, dict[str, str]] = {}
    for name in shapes:
        # "val_images" → part "validation", kind "images"; other words leave an array unused.
        words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
        part: PartName | None = next(filter(None, map(part_of, words)), None)
        kinds = [word for word in words if part_of(word) is None]
        for what, known in (("images", _IMAGES), ("labels", _LABELS)):
            if len(kinds) == 1 and kinds[0] in known:
                by_part.setdefault(part or "train", {}).setdefault(what, name)
    # {"train": ("x_train", "y_train")}
    pairs = {
        part: (arrays["images"], arrays["labels"])
        for part, arrays in by_part.items()
        if len(arrays) == 2
    }
    if not pairs:
        named = ", ".join(shapes) or "of no name"
        raise DataError(f"{path} has arrays {named}; it takes {wanted}", fix)
    labels_by_name = read([name for _, name in pairs.values()])
    parts = {
        part: Arrays(
            f"{path} {images}", shapes[images], partial(_read_one, read, images), labels_by_name[y]
        )
        for part, (images, y) in pairs.items()
    }
    unused = [name for name in shapes if not any(name in pair for pair in pairs.values())]
    notes = (f"arrays that are not used: {some_of(unused, 5)}",) if unused else ()
    return Contents(parts, notes=notes)


def _read_one(read: Read, name: str) -> Array:
    return read([name])[name]


class ArrayReader(DatasetReader):
    """Reads a format of arrays. A subclass returns the arrays of each part in `contents`."""

    @abstractmethod
    def contents(self) -> Contents:
        """Read headers and labels. Images are read later, by `Arrays.images`."""

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Load every part that has labels."""
        import torch

        contents, name = self.contents(), options.name
        resolved = self._labels(name, contents.parts, contents.class_names)
        parts = {part: contents.parts[stored] for part, stored in resolved.stored.items()}
        orders = {part: axis_order(arrays, self._fix) for part, arrays in parts.items()}
        shapes = {part: _image_shape(parts[part], orders[part]) for part in parts}
        for part, shape in shapes.items():
            if shape[1:] != shapes["train"][1:]:
                wrong = f"images in train and {part} differ in size"
                raise DataError(f"{self.path} cannot be used as a dataset: {wrong}", self._fix)
        if len(set(shapes.values())) > 1:
            raise DataError(f"{self.path} has grey and colour images", self._fix)
        read: dict[PartName, Array] = {}
        for part, arrays in parts.items():
            read[part] = arrays.images()
            if read[part].shape != arrays.shape:
                wrong = f"is {list(read[part].shape)}, and its header states {list(arrays.shape)}"
                raise DataError(f"{arrays.source} {wrong}", self._fix)
        pixels, note = _as_bytes(name, read, self._fix)
        for text in (*(f"{name}: {each}" for each in contents.notes), *resolved.notes, *note):
            emit(Noted(text=text))
        sets: dict[PartName, ImageSet] = {}
        for part, order in orders.items():
            ordered = pixels[part].transpose(order)
            if ordered.ndim == 3:
                ordered = ordered[:, None]  # [n, height, width] → [n, 1, height, width]
            images = torch.from_numpy(np.ascontiguousarray(ordered))
            sets[part] = ImageSet(images, resolved.numbers[part])
        return FullSet(resolved.class_names, sets)

    def shape(self) -> Shape:
        """Return the shape from the labels and the header of the training images."""
        contents = self.contents()
        train: dict[PartName, Arrays] = {
            part: arrays for part, arrays in contents.parts.items() if part == "train"
        }
        resolved = self._labels(self.path.name, train, contents.class_names)
        order = axis_order(train["train"], self._fix)
        return Shape(len(resolved.class_names), *_image_shape(train["train"], order))

    def training_counts(self) -> TrainingCounts:
        contents = self.contents()
        return self._labels(self.path.name, contents.parts, contents.class_names).of_training()

    def _labels(
        self, name: str, parts: Mapping[PartName, Arrays], class_names: tuple[str, ...] | None
    ) -> labels.Labels:
        every = {part: _labels(arrays, self._fix) for part, arrays in parts.items()}
        return labels.resolve(name, every, class_names, self._fix)

    @property
    def _fix(self) -> str:
        return command("ls", "-l", self.path)


def is_image(shape: Sequence[int]) -> bool:
    """Return whether one image may have this shape."""
    return len(shape) == 2 or (len(shape) == 3 and bool({shape[0], shape[-1]} & {1, 3}))


def _image_shape(arrays: Arrays, order: Sequence[int]) -> tuple[int, int, int]:
    """Return channels, height and width, of axes in the order of `axis_order`."""
    *channels, height, width = (arrays.shape[axis] for axis in order[1:])
    return channels[0] if channels else 1, height, width


def axis_order(arrays: Arrays, fix: str) -> tuple[int, ...]:
    """Return which axes are n, channels (if there is such an axis), height and width.

    Images are [n, height, width], [n, height, width, 1 or 3] or [n, 1 or 3, height, width]; with
    `last_axis`, n is last. Raises DataError for other shapes and another number of labels.
    """
    shape = arrays.shape
    first = len(shape) - 1 if arrays.last_axis else 0
    others = [axis for axis in range(len(shape)) if axis != first]
    if not is_image([shape[axis] for axis in others]) or 0 in shape:
        wanted = "[n, height, width], [n, height, width, 1 or 3] or [n, 1 or 3, height, width]"
        raise DataError(f"{arrays.source} is {list(shape)}, and images are {wanted}", fix)
    if shape[first] != len(arrays):
        wrong = f"{arrays.source} has {shape[first]} images but {len(arrays)} labels"
        raise DataError(wrong, fix)
    # Channels last, as most files have them, before channels first.
    if len(others) == 3 and shape[others[-1]] in (1, 3):
        others = [others[-1], *others[:-1]]
    return first, *others


def _labels(arrays: Arrays, fix: str) -> labels.Values | None:
    """Read labels of [n], [n, 1], or one-hot rows [n, classes]."""
    values = arrays.labels
    if values.ndim == 2 and 1 in values.shape:
        values = values.reshape(-1)
    if values.dtype.kind not in "biufUS":
        raise DataError(f"{arrays.source} has labels of type {values.dtype}", fix)
    if values.ndim == 2 and values.dtype.kind in "biuf" and values.size:
        if not (np.isin(values, (0, 1)).all() and (values.sum(1) == 1).all()):
            raise DataError(
                f"{arrays.source} has labels of {list(values.shape)}: several an image; datm "
                "distills datasets with one class an image",
                fix,
            )
        values = values.argmax(1)  # [n, classes] → [n]
    if values.ndim != 1:
        raise DataError(f"{arrays.source} has labels of {list(values.shape)}, not [n]", fix)
    return labels.read([(f"{arrays.source}: labels", values.tolist())], fix)


def _as_bytes(
    name: str, parts: Mapping[PartName, Array], fix: str
) -> tuple[dict[PartName, NDArray[np.uint8]], tuple[str, ...]]:
    """Convert pixels to uint8 by one rule for all parts. Returns a note if they are scaled."""
    if all(pixels.dtype == np.uint8 for pixels in parts.values()):
        return dict(parts), ()
    kinds = {pixels.dtype.kind for pixels in parts.values()}
    if not kinds <= set("biuf"):
        types = ", ".join(sorted({str(pixels.dtype) for pixels in parts.values()}))
        raise DataError(f"{name} has images of type {types}; pixels are numbers", fix)
    # One range for all parts, so that the same grey has the same value in each.
    lowest = min(float(pixels.min()) for pixels in parts.values())
    highest = max(float(pixels.max()) for pixels in parts.values())
    in_range = 0 <= lowest <= highest < 2**16  # False for what is not a number
    is_share = "f" in kinds and highest <= 1
    white, how = 1, ""
    if is_share:
        how = "pixels from 0 to 1 are multiplied by 255 and rounded"
    elif in_range and kinds != {"b"}:
        bits = bits_of(int(highest))
        white = 2**bits - 1
        how = f"pixels up to {highest:.0f} are read as {bits} bits" if bits > 8 else ""
    whole = (
        is_share
        or "f" not in kinds
        or all((pixels == np.round(pixels)).all() for pixels in parts.values())
    )
    if not in_range or not whole:
        raise DataError(
            f"{name} has pixels from {lowest:g} to {highest:g}, whose range is not known; store "
            "whole numbers from 0 to 255, or numbers from 0 to 1",
            fix,
        )
    scaled = {
        part: np.round(pixels.astype(np.float64) * (255 / white)).astype(np.uint8)
        for part, pixels in parts.items()
    }
    return scaled, (f"{name}: {how}",) if how else ()
