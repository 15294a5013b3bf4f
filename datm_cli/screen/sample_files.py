"""Read the pictures that a run has saved, without torch and only as far as they are needed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from datm_cli.text.escapes import printable
from datm_engine.errors import FileError
from datm_engine.files import parse_json
from datm_engine.hints import command
from datm_engine.runs.directory import Run

# What reading a file raises if it is damaged or holds something else.
_UNREADABLE = (SafetensorError, OSError, KeyError, IndexError, TypeError, ValueError)


@contextmanager
def open_sample(path: Path) -> Iterator[safe_open]:
    """Open a file to read parts of it. Raises FileError for what goes wrong within."""
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except _UNREADABLE as problem:
        raise FileError(f"{path} cannot be read: {problem}", command("rm", path)) from None


@dataclass(frozen=True)
class Sample:
    """`pictures`: uint8 [m, height, width, channels]; `indices`: [m], their numbers in the set.

    taken_for, probability: [m], the likeliest class of each one's soft label; None if not stated.
    """

    iteration: int
    pictures: NDArray[np.uint8]
    indices: NDArray[np.int64]
    taken_for: NDArray[np.int64] | None = None
    probability: NDArray[np.float32] | None = None


def read_sample(path: Path) -> Sample | None:
    """None if there is no such file, as the run may have removed it. Raises FileError for a damaged
    file."""
    if not path.exists():
        return None
    with open_sample(path) as file:
        # [m, channels, height, width] → [m, height, width, channels]
        pictures = file.get_tensor("pictures").transpose(0, 2, 3, 1)
        indices = _indices(file, len(pictures))
        if pictures.dtype != np.uint8 or indices.shape != (len(pictures),):
            raise ValueError("its pictures and their indices do not match")
        # The file of all starts, and that of real images, state no iteration.
        iteration = int((file.metadata() or {}).get("iteration", 0))
        labels = []
        if "taken_for" in file.keys():  # noqa: SIM118
            labels = [file.get_tensor(name) for name in ("taken_for", "probability")]
            if any(each.shape != (len(pictures),) for each in labels):
                raise ValueError("its pictures and their labels do not match")
    return Sample(iteration, pictures, indices, *labels)


@dataclass(frozen=True)
class HistoryImage:
    """An image at an iteration.

    read: returns uint8 [height, width, channels]; raises FileError if its file is damaged or gone.
    is_of_set: it is the image of the distilled set, not of a sample.
    """

    iteration: int
    read: Callable[[], NDArray[np.uint8]]
    is_of_set: bool = False


class RunSamples:
    """The samples of a run. unreadable: what is wrong with those that cannot be read."""

    def __init__(self, run: Run) -> None:
        self.unreadable: list[str] = []
        # iteration → the file, and the row in it of each index in the set
        self._files: dict[int, tuple[Path, dict[int, int]]] = {}
        for path in [*sorted(run.samples.glob("*.safetensors")), run.preview]:
            if not path.exists():
                continue
            try:
                with open_sample(path) as file:
                    # The file of the starts has all images and no indices. It is no sample.
                    if "indices" in file.keys():  # noqa: SIM118
                        indices = file.get_tensor("indices").flatten().tolist()
                        rows = {index: row for row, index in enumerate(indices)}
                        self._files.setdefault(int(file.metadata()["iteration"]), (path, rows))
            except FileError as error:
                self.unreadable.append(printable(error.message))

    def images_of(self, index: int) -> list[HistoryImage]:
        """Image number `index` of the set in every sample that has it, oldest first. A file is read
        when its image is shown."""
        return [
            HistoryImage(iteration, partial(_read_row, path, rows[index]))
            for iteration, (path, rows) in sorted(self._files.items())
            if index in rows
        ]


def read_start(folder: Path, index: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: how image `index` of the run in `folder` was initialized.
    Raises FileError."""
    with open_sample(folder / "samples" / "initial.safetensors") as file:
        count = file.get_slice("pictures").get_shape()[0]
        row = int(np.flatnonzero(_indices(file, count) == index)[0])
        return _picture(file, row)


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


def _read_row(path: Path, row: int) -> NDArray[np.uint8]:
    with open_sample(path) as file:
        return _picture(file, row)


def _picture(file: safe_open, row: int) -> NDArray[np.uint8]:
    """uint8 [height, width, channels]: one picture of an open sample."""
    picture: NDArray[np.uint8] = file.get_slice("pictures")[row : row + 1][0]
    if picture.dtype != np.uint8 or picture.ndim != 3:
        raise ValueError("it holds no pictures")
    return picture.transpose(1, 2, 0)
