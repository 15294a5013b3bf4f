"""Read MATLAB's .mat files as SVHN has them: X of [height, width, 3, n] and y of [n, 1].

A dataset is train_32x32.mat and test_32x32.mat in one folder; the path of either or of the folder
names both.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datm_engine.data.image_sets import PartName, part_of
from datm_engine.data.readers import mat_process
from datm_engine.data.readers.array_files import (
    Array,
    ArrayReader,
    Arrays,
    Contents,
    count_of,
    damage_as_error,
    is_image,
    pair,
)
from datm_engine.errors import DataError
from datm_engine.hints import command

_KIND = ".mat file of arrays"
_HDF5 = b"MATLAB 7.3"


class MatReader(ArrayReader):
    """Reads a .mat file, or a folder with one that its name makes the training part."""

    @staticmethod
    def recognizes(path: Path) -> bool:
        if path.is_dir():
            return "train" in _files(path)
        return path.suffix.lower() == ".mat" and path.is_file()

    def contents(self) -> Contents:
        parts, notes = _parts(self.path)
        if not _is_svhn(parts):
            return Contents(parts, notes=notes)
        parts = {
            part: replace(some, labels=np.where(some.labels == 10, 0, some.labels))
            for part, some in parts.items()
        }
        return Contents(parts, notes=("label 10 is read as the digit 0, as SVHN has it", *notes))


def _files(folder: Path) -> dict[PartName, Path]:
    """Return the first file of each part."""
    files: dict[PartName, Path] = {}
    for path in sorted(folder.glob("*.[mM][aA][tT]")):
        part = _part(path)
        if part is not None and path.is_file():
            files.setdefault(part, path)
    return files


def _parts(path: Path) -> tuple[dict[PartName, Arrays], tuple[str, ...]]:
    """Find parts by the names of files, or in a single file by the names of arrays. Adds notes."""
    if path.is_dir():
        files = _files(path)
    elif (part := _part(path)) is not None:
        files = _files(path.parent) | {part: path}
    else:
        return _arrays(path)
    parts: dict[PartName, Arrays] = {}
    notes: dict[str, None] = {}  # each once
    for part, path in files.items():
        arrays, about = _arrays(path)
        parts[part] = next(iter(arrays.values()))
        notes |= dict.fromkeys(about)
    return parts, tuple(notes)


def _part(path: Path) -> PartName | None:
    """Return the part that a file's name states: train_32x32.mat."""
    return part_of(re.split(r"[-_.]", path.name)[0])


def _arrays(path: Path) -> tuple[dict[PartName, Arrays], tuple[str, ...]]:
    with damage_as_error(path, _KIND):
        with path.open("rb") as file:
            if file.read(len(_HDF5)) == _HDF5:
                raise DataError(
                    f"{path} is of MATLAB's version 7.3, which is not read; save it with -v7",
                    command("ls", "-l", path),
                )
        known = mat_process.shapes(path)
    pairs, notes = pair(known)
    if not pairs:
        raise DataError(
            f"{path} has arrays {', '.join(known) or 'of no name'}; it takes X and y, as SVHN has",
            command("ls", "-l", path),
        )
    every = _read(path, [names["labels"] for names in pairs.values()])
    parts: dict[PartName, Arrays] = {}
    for part, names in pairs.items():
        shape, labels = known[names["images"]], every[names["labels"]]
        source, images = f"{path} {names['images']}", partial(_read_one, path, names["images"])
        last_axis = _is_last(path, names["images"], shape, count_of(labels))
        parts[part] = Arrays(source, shape, images, labels, last_axis)
    return parts, notes


def _is_last(path: Path, name: str, shape: tuple[int, ...], count: int) -> bool:
    """Return whether the last axis numbers the images, as in MATLAB, and not the first, as in
    Python. Raises DataError if it could be either."""
    is_first, is_last = (
        len(shape) > 2 and shape[axis] == count and is_image(one)
        for axis, one in ((0, shape[1:]), (-1, shape[:-1]))
    )
    if is_first and is_last:
        raise DataError(
            f"{path} {name} is {list(shape)} with {count} labels: the first axis could number the "
            "images, or the last; save them as [n, height, width, 1 or 3]",
            command("ls", "-l", path),
        )
    return is_last


def _read_one(path: Path, name: str) -> Array:
    return _read(path, [name])[name]


def _read(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with damage_as_error(path, _KIND):
        return mat_process.read(path, names)


def _is_svhn(parts: dict[PartName, Arrays]) -> bool:
    """Return whether the training labels are 1 to 10."""
    values = parts["train"].labels if "train" in parts else np.empty(0)
    return values.dtype.kind in "iuf" and set(np.unique(values)) == set(range(1, 11))
