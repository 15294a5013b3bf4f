"""MATLAB's .mat files as SVHN has them: X of [height, width, 3, n] and y of [n, 1].

train_32x32.mat and test_32x32.mat stand beside each other; either or their folder names both.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from datm_engine.data import containers, matfile
from datm_engine.data.arrays import FullSet, Shape
from datm_engine.data.containers import Array, Arrays
from datm_engine.data.parts import Part, part_of
from datm_engine.errors import DataError
from datm_engine.events import Event, Noted
from datm_engine.hints import command

_KIND = ".mat file of arrays"
_HDF5 = b"MATLAB 7.3"


def is_here(place: Path) -> bool:
    """A .mat file, or a folder with one that its name makes the training part."""
    if place.is_dir():
        return "train" in _files(place)
    return place.suffix.lower() == ".mat" and place.is_file()


def load(place: Path, name: str) -> Generator[Event, None, FullSet]:
    """Raises DataError."""
    parts = _parts(place)
    if _is_svhn(parts):
        yield Noted(text=f"{name}: label 10 is read as the digit 0, as SVHN has it")
    return (yield from containers.load(name, place, _from_zero(parts)))


def peek(place: Path) -> Shape:
    """From the arrays' headers and the labels. Raises DataError."""
    return containers.peek(place.name, place, _from_zero(_parts(place)))


def counts(place: Path) -> dict[Part, int]:
    """Images of each part, from the headers."""
    return {part: len(arrays) for part, arrays in _parts(place).items()}


def _files(folder: Path) -> dict[Part, Path]:
    """The first file of each part: train_32x32.mat, test_32x32.mat."""
    found: dict[Part, Path] = {}
    for path in sorted(folder.glob("*.[mM][aA][tT]")):
        part = part_of(re.split(r"[-_.]", path.name)[0])
        if part is not None and path.is_file():
            found.setdefault(part, path)
    return found


def _parts(place: Path) -> dict[Part, Arrays]:
    """Parts by the files' names, else by the names of a single file's arrays."""
    if place.is_dir():
        files = _files(place)
    elif part_of(re.split(r"[-_.]", place.name)[0]) is not None:
        files = _files(place.parent) | {_part(place): place}
    else:
        files = {}
    parts: dict[Part, Arrays] = {}
    for part, path in files.items():
        parts[part] = next(iter(_arrays(path).values()))
    return parts or _arrays(place)


def _part(path: Path) -> Part:
    return part_of(re.split(r"[-_.]", path.name)[0]) or "train"


def _arrays(path: Path) -> dict[Part, Arrays]:
    with containers.reading(path, _KIND):
        with path.open("rb") as file:
            if file.read(len(_HDF5)) == _HDF5:
                raise DataError(
                    f"{path} is of MATLAB's version 7.3, which is not read; save it with -v7",
                    command("ls", "-l", path),
                )
        known = matfile.shapes(path)
    pairs = containers.pair(known)
    if not pairs:
        raise DataError(
            f"{path} has arrays {', '.join(known) or 'of no name'}; it takes X and y, as SVHN has",
            command("ls", "-l", path),
        )
    every = _read(path, [names["labels"] for names in pairs.values()])
    parts: dict[Part, Arrays] = {}
    for part, names in pairs.items():
        shape, labels = known[names["images"]], every[names["labels"]]
        read = partial(_read_one, path, names["images"])
        last_axis = bool(shape) and shape[-1] in labels.shape  # else the first, as from Python
        parts[part] = Arrays(f"{path} {names['images']}", shape, read, labels, last_axis)
    return parts


def _read(path: Path, names: Sequence[str]) -> dict[str, Array]:
    with containers.reading(path, _KIND):
        return matfile.read(path, names)


def _read_one(path: Path, name: str) -> Array:
    return _read(path, [name])[name]


def _is_svhn(parts: dict[Part, Arrays]) -> bool:
    """Whether the training labels are 1 to 10."""
    values = parts["train"].labels if "train" in parts else np.empty(0)
    return values.dtype.kind in "iuf" and set(np.unique(values)) == set(range(1, 11))


def _from_zero(parts: dict[Part, Arrays]) -> dict[Part, Arrays]:
    if not _is_svhn(parts):
        return parts
    return {
        part: replace(some, labels=np.where(some.labels == 10, 0, some.labels))
        for part, some in parts.items()
    }
