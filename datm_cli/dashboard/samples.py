"""Reading the pictures that a run has saved, a few at a time and without torch."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from datm_engine.errors import FileError


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
            stated = (file.metadata() or {}).get("iteration")
            pictures = file.get_tensor("pictures").transpose(0, 2, 3, 1)
            known = "indices" in file.keys()  # noqa: SIM118
            indices = file.get_tensor("indices") if known else np.arange(len(pictures))
    except FileNotFoundError:
        return None
    except (SafetensorError, OSError) as problem:
        raise FileError(f"{path} cannot be read: {problem}", f"rm {path}") from None
    return Sample(int(stated or iteration), pictures, indices)


def read_start(folder: Path, index: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: what image number `index` of the run in `folder` started
    from. Raises FileError."""
    path = folder / "samples" / "initial.safetensors"
    try:
        with safe_open(path, framework="numpy") as file:
            picture: NDArray[np.uint8] = file.get_slice("pictures")[index : index + 1][0]
    except (SafetensorError, OSError, IndexError) as problem:
        raise FileError(f"{path} cannot be read: {problem}", f"rm {path}") from None
    return picture.transpose(1, 2, 0)


def read_class_names(distilled: Path) -> tuple[str, ...]:
    """Of the set in this file; none if it is not there yet or cannot be read."""
    try:
        with safe_open(distilled, framework="numpy") as file:
            return tuple(json.loads((file.metadata() or {})["class_names"]))
    except (SafetensorError, OSError, KeyError, ValueError):
        return ()
