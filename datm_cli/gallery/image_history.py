"""One image through the samples its run has saved, without reading what is not looked at."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from datm_engine.errors import FileError
from datm_engine.hints import command
from datm_engine.runs.directory import Run

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Moment:
    """An image at an iteration: in the row of a sample, at hand, or (neither) as in the set."""

    iteration: int
    source: tuple[Path, int] | None
    at_hand: Pixels | None = field(default=None, compare=False)

    @classmethod
    def of(cls, iteration: int, picture: Pixels) -> Moment:
        return cls(iteration, None, picture)

    @property
    def is_of_the_set(self) -> bool:
        return self.source is None and self.at_hand is None

    def picture(self) -> Pixels:
        """uint8 [height, width, channels]. Raises FileError for a sample that is damaged."""
        if self.at_hand is not None or self.source is None:
            assert self.at_hand is not None, "the set has its own picture"
            return self.at_hand
        path, row = self.source
        with _opened(path) as file:
            picture: Pixels = file.get_slice("pictures")[row : row + 1][0]
            if picture.dtype != np.uint8 or picture.ndim != 3:
                raise ValueError("it holds no pictures")
        return picture.transpose(1, 2, 0)


class Samples:
    """The samples of a run, and which images each of them shows. `unreadable`: what is wrong with
    those that cannot be used."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.unreadable: list[str] = []

    def moments(self, index: int) -> list[Moment]:
        """Every sample that shows the image, oldest first."""
        return [
            Moment(iteration, (path, rows[index]))
            for iteration, path, rows in self._files
            if index in rows
        ]

    @cached_property
    def _files(self) -> list[tuple[int, Path, dict[int, int]]]:
        """(iteration, file, {image: row}). One that does not say which images it shows is left
        out, as the start is, which shows all of them."""
        found: dict[int, tuple[int, Path, dict[int, int]]] = {}
        for path in self._paths():
            try:
                with _opened(path) as file:
                    if "indices" not in file.keys():  # noqa: SIM118
                        continue
                    stated = (file.metadata() or {}).get("iteration", path.stem)
                    indices = file.get_tensor("indices").flatten().tolist()
            except FileError as problem:
                self.unreadable.append(problem.message)
                continue
            if stated.isdecimal():
                rows = {image: row for row, image in enumerate(indices)}
                found.setdefault(int(stated), (int(stated), path, rows))
        return [found[iteration] for iteration in sorted(found)]

    def _paths(self) -> Iterator[Path]:
        yield from sorted(self._run.samples.glob("*.safetensors"))
        if self._run.preview.exists():
            yield self._run.preview


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """A sample to read from; what is wrong with it becomes a FileError."""
    try:
        with safe_open(path, framework="np") as file:
            yield file
    except (SafetensorError, OSError, IndexError, TypeError, ValueError) as problem:
        raise FileError(f"{path} cannot be read: {problem}", command("ls", "-l", path)) from None
