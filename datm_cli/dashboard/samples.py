"""Reading the pictures that a run has saved, a few at a time and without torch."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from datm_cli.text.escapes import printable
from datm_engine.errors import FileError
from datm_engine.files import parse_json

# What comes of reading a file that is damaged, or that holds something else.
_UNREADABLE = (SafetensorError, OSError, KeyError, IndexError, TypeError, ValueError)


@dataclass(frozen=True)
class Sample:
    """`pictures`: uint8 [m, height, width, channels]; `indices`: [m], which images of the set."""

    iteration: int
    pictures: NDArray[np.uint8]
    indices: NDArray[np.int64]


def read_sample(path: Path, iteration: int) -> Sample | None:
    """None while there is no such file: a run that goes on may have taken it away.

    Raises FileError for one that is damaged.
    """
    try:
        with safe_open(path, framework="numpy") as file:
            stated = int((file.metadata() or {}).get("iteration", iteration))
            pictures = file.get_tensor("pictures").transpose(0, 2, 3, 1)
            indices = _indices(file, len(pictures))
            if pictures.dtype != np.uint8 or indices.shape != (len(pictures),):
                raise ValueError("its pictures and their numbers do not fit each other")
    except FileNotFoundError:
        return None
    except _UNREADABLE as problem:
        raise FileError(f"{path} cannot be read: {problem}", f"rm {path}") from None
    return Sample(stated, pictures, indices)


def read_start(folder: Path, index: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: what image number `index` of the run in `folder` started
    from. Raises FileError."""
    path = folder / "samples" / "initial.safetensors"
    try:
        with safe_open(path, framework="numpy") as file:
            pictures = file.get_slice("pictures")
            row = int(np.flatnonzero(_indices(file, pictures.get_shape()[0]) == index)[0])
            picture: NDArray[np.uint8] = pictures[row : row + 1][0]
            if picture.dtype != np.uint8 or picture.ndim != 3:
                raise ValueError("it holds no pictures")
    except _UNREADABLE as problem:
        raise FileError(f"{path} cannot be read: {problem}", f"rm {path}") from None
    return picture.transpose(1, 2, 0)


def read_class_names(distilled: Path) -> tuple[str, ...]:
    """Of the set in this file; none if it is not there yet or cannot be read."""
    try:
        with safe_open(distilled, framework="numpy") as file:
            return tuple(map(printable, parse_json((file.metadata() or {})["class_names"])))
    except _UNREADABLE:
        return ()


def _indices(file: safe_open, count: int) -> NDArray[np.int64]:
    """[count]: which images of the set a file shows, all where it does not say."""
    if "indices" not in file.keys():  # noqa: SIM118
        return np.arange(count)
    indices: NDArray[np.int64] = file.get_tensor("indices")
    return indices
