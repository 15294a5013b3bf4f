"""Read NumPy's .npz files, with the names of MedMNIST (train_images) or Keras (x_train).

Files are read without pickles, so that they cannot run code.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.lib import format as npy

from datm_engine.data.readers.array_files import Array, ArrayReader, Contents, paired
from datm_engine.files import damage_as_error
from datm_engine.hints import command

_KIND = ".npz file of arrays"
_WANTED = "train_images and train_labels (MedMNIST), or x_train and y_train (Keras)"
_READ_HEADER = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}


class NpzReader(ArrayReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.suffix.lower() == ".npz" and path.is_file()

    def contents(self) -> Contents:
        shapes = {}
        # np.load would read the pixels to state a shape.
        with damage_as_error(self.path, _KIND), zipfile.ZipFile(self.path) as archive:
            for member in archive.namelist():
                if member.endswith(".npy"):
                    with archive.open(member) as file:
                        header = _READ_HEADER[npy.read_magic(file)](file)
                    shapes[member.removesuffix(".npy")] = header[0]
        fix = command("unzip", "-l", self.path)
        return paired(self.path, shapes, partial(_read, self.path), _WANTED, fix)


def _read(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with damage_as_error(path, _KIND), np.load(path, allow_pickle=False) as file:
        return {name: file[name] for name in names}
