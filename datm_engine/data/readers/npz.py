"""NumPy's .npz files: MedMNIST's train_images and train_labels, Keras' x_train and y_train.

They are read without pickles, so that a file cannot run code.
"""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import numpy as np

from datm_engine.data.readers import array_files
from datm_engine.data.readers.array_files import Array, Arrays, Contents
from datm_engine.errors import DataError
from datm_engine.hints import command

_KIND = ".npz file of arrays"


def is_here(place: Path) -> bool:
    return place.suffix.lower() == ".npz" and place.is_file()


def read(path: Path) -> Contents:
    """Headers and labels; the images are read when they are needed. Raises DataError."""
    with array_files.reading(path, _KIND):
        shapes = _shapes(path)
        pairs, notes = array_files.pair(shapes)
        if not pairs:
            raise DataError(
                f"{path} has arrays {', '.join(shapes) or 'of no name'}; it takes train_images and "
                "train_labels (MedMNIST), or x_train and y_train (Keras)",
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
    return Contents(path, parts, notes=notes)


def _shapes(path: Path) -> dict[str, tuple[int, ...]]:
    """Of each array, from its header alone."""
    shapes = {}
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
    with array_files.reading(path, _KIND), np.load(path, allow_pickle=False) as file:
        array: Array = file[key]
        return array
