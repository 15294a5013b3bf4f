"""Read the pictures that a run has saved, without torch and only as far as they are needed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from datm_cli.text.escapes import printable
from datm_engine.errors import FileError
from datm_engine.files import parse_json
from datm_engine.hints import command

# What reading a file raises if it is damaged or holds something else.
_UNREADABLE = (SafetensorError, OSError, KeyError, IndexError, TypeError, ValueError)


@dataclass(frozen=True)
class Sample:
    """`pictures`: uint8 [m, height, width, channels]; `indices`: [m], their numbers in the set."""

    iteration: int
    pictures: NDArray[np.uint8]
    indices: NDArray[np.int64]


@contextmanager
def open_sample(path: Path) -> Iterator[safe_open]:
    """Open a file to read parts of it. Raises FileError for what goes wrong within."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except _UNREADABLE as problem:
        raise FileError(f"{path} cannot be read: {problem}", command("rm", path)) from None


def read_sample(path: Path, iteration: int) -> Sample | None:
    """None if there is no such file, as the run may have removed it. Raises FileError for a damaged
    file."""
    if not path.exists():
        return None
    with open_sample(path) as file:
        iteration = int((file.metadata() or {}).get("iteration", iteration))
        # [m, channels, height, width] → [m, height, width, channels]
        pictures = file.get_tensor("pictures").transpose(0, 2, 3, 1)
        indices = _indices(file, len(pictures))
        if pictures.dtype != np.uint8 or indices.shape != (len(pictures),):
            raise ValueError("its pictures and their indices do not match")
    return Sample(iteration, pictures, indices)


def read_picture(file: safe_open, row: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: one picture of an open sample."""
    picture: NDArray[np.uint8] = file.get_slice("pictures")[row : row + 1][0]
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise ValueError("it holds no pictures")
    return picture.transpose(1, 2, 0)


def read_start(folder: Path, index: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: how image `index` of the run in `folder` was initialized.
    Raises FileError."""
    with open_sample(folder / "samples" / "initial.safetensors") as file:
        count = file.get_slice("pictures").get_shape()[0]
        row = int(np.flatnonzero(_indices(file, count) == index)[0])
        return read_picture(file, row)


def read_class_names(distilled: Path) -> tuple[str, ...]:
    """The class names of a distilled set. Empty if the file is missing or cannot be read."""
    try:
        with open_sample(distilled) as file:
            return tuple(map(printable, parse_json((file.metadata() or {})["class_names"])))
    except FileError:
        return ()


def _indices(file: safe_open, count: int) -> NDArray[np.int64]:
    """[count]: the numbers of the pictures in the set. A file without them holds all images."""
    if "indices" not in file.keys():  # noqa: SIM118
        return np.arange(count)
    indices: NDArray[np.int64] = file.get_tensor("indices")
    return indices
