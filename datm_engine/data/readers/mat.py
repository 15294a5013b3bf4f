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
    is_image,
    paired,
)
from datm_engine.errors import DataError
from datm_engine.files import damage_as_error
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
        """Find parts by the names of files, or in a single file by the names of arrays."""
        if self.path.is_dir():
            files = _files(self.path)
        elif (named := _part(self.path)) is not None:
            files = _files(self.path.parent) | {named: self.path}
        else:
            return _digits_from_0(_contents(self.path))
        by_file = {part: _contents(path) for part, path in files.items()}
        parts = {part: next(iter(of_file.parts.values())) for part, of_file in by_file.items()}
        notes = dict.fromkeys(note for of_file in by_file.values() for note in of_file.notes)
        return _digits_from_0(Contents(parts, notes=tuple(notes)))


def _files(folder: Path) -> dict[PartName, Path]:
    """Return the first file of each part."""
    files: dict[PartName, Path] = {}
    for path in sorted(folder.glob("*.[mM][aA][tT]")):
        part = _part(path)
        if part is not None and path.is_file():
            files.setdefault(part, path)
    return files


def _part(path: Path) -> PartName | None:
    """Return the part that a file's name states: train_32x32.mat."""
    return part_of(re.split(r"[-_.]", path.name)[0])


def _contents(path: Path) -> Contents:
    fix = command("ls", "-l", path)
    with damage_as_error(path, _KIND):
        with path.open("rb") as file:
            if file.read(len(_HDF5)) == _HDF5:
                wrong = "of MATLAB's version 7.3, which is not read; save it with -v7"
                raise DataError(f"{path} is {wrong}", fix)
        shapes = mat_process.shapes(path)
    contents = paired(path, shapes, partial(_read, path), "X and y, as SVHN has", fix)
    parts: dict[PartName, Arrays] = {}
    for part, arrays in contents.parts.items():
        shape, count = arrays.shape, len(arrays)
        # The last axis numbers the images, as in MATLAB, or the first, as in Python.
        is_first, is_last = (
            len(shape) > 2 and shape[axis] == count and is_image(one)
            for axis, one in ((0, shape[1:]), (-1, shape[:-1]))
        )
        if is_first and is_last:
            raise DataError(
                f"{arrays.source} is {list(shape)} with {count} labels: the first axis could "
                "number the images, or the last; save them as [n, height, width, 1 or 3]",
                fix,
            )
        parts[part] = replace(arrays, last_axis=is_last)
    return replace(contents, parts=parts)


def _read(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with damage_as_error(path, _KIND):
        return mat_process.read(path, names)


def _digits_from_0(contents: Contents) -> Contents:
    """Read label 10 as the digit 0 if the training labels are 1 to 10, as SVHN has them."""
    if "train" not in contents.parts:
        return contents
    labels = contents.parts["train"].labels
    if labels.dtype.kind not in "iuf" or set(np.unique(labels)) != set(range(1, 11)):
        return contents
    parts = {
        part: replace(arrays, labels=np.where(arrays.labels == 10, 0, arrays.labels))
        for part, arrays in contents.parts.items()
    }
    note = "label 10 is read as the digit 0, as SVHN has it"
    return Contents(parts, notes=(note, *contents.notes))
