"""Read NumPy's .npz files, with the names of MedMNIST (train_images) or Keras (x_train).

Files are read without pickles, so that they cannot run code.
"""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from datm_engine.data.readers.array_files import (
    Array,
    ArrayReader,
    Arrays,
    Contents,
    damage_as_error,
    pair,
)
from datm_engine.errors import DataError
from datm_engine.hints import command

_KIND = ".npz file of arrays"


class NpzReader(ArrayReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.suffix.lower() == ".npz" and path.is_file()

    def contents(self) -> Contents:
        path = self.path
        with damage_as_error(path, _KIND):
            shapes = _shapes(path)
            pairs, notes = pair(shapes)
            if not pairs:
                raise DataError(
                    f"{path} has arrays {', '.join(shapes) or 'of no name'}; it takes train_images "
                    "and train_labels (MedMNIST), or x_train and y_train (Keras)",
                    command("unzip", "-l", path),
                )
            parts = {
                part: Arrays(
                    f"{path} {names['images']}",
                    shapes[names["images"]],
                    partial(_read, path, names["images"]),
                    _read(path, names["labels"]),
                )
                for part, names in pairs.items()
            }
        return Contents(parts, notes=notes)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Return the shape of each array, from its header alone."""
    shapes = {}
    # np.load would read the pixels to state a shape.
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            if not member.endswith(".npy"):
                continue
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }[version]
                shapes[member.removesuffix(".npy")] = read(file)[0]
    return shapes


def _read(path: Path, key: str) -> Array:
    with damage_as_error(path, _KIND), np.load(path, allow_pickle=False) as file:
        array: Array = file[key]
        return array
