"""One image at the iterations that its run saved. A file is read when its image is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

from datm_cli.screen.picture_widgets import Pixels
from datm_cli.screen.sample_files import open_sample, read_picture
from datm_cli.text.escapes import printable
from datm_engine.errors import FileError
from datm_engine.runs.directory import Run


@dataclass(frozen=True)
class HistoryImage:
    """An image at an iteration.

    read: returns uint8 [height, width, channels]; raises FileError if its file is damaged or gone.
    is_of_set: it is the image of the distilled set, not of a sample.
    """

    iteration: int
    read: Callable[[], Pixels]
    is_of_set: bool = False


class RunSamples:
    """The samples of a run. unreadable: what is wrong with those that cannot be read."""

    def __init__(self, run: Run) -> None:
        self._run = run
        self.unreadable: list[str] = []

    def images_of(self, index: int) -> list[HistoryImage]:
        """Image number `index` of the set in every sample that has it, oldest first."""
        return [
            HistoryImage(iteration, partial(_read_row, path, rows[index]))
            for iteration, path, rows in self._files
            if index in rows
        ]

    @cached_property
    def _files(self) -> list[tuple[int, Path, dict[int, int]]]:
        """(iteration, file, {index in the set: row in the file}) each, sorted.

        The file of the starts has all images and no indices. It is no sample.
        """
        files: dict[int, tuple[int, Path, dict[int, int]]] = {}
        for path in [*sorted(self._run.samples.glob("*.safetensors")), self._run.preview]:
            if not path.exists():
                continue
            try:
                with open_sample(path) as file:
                    if "indices" not in file.keys():  # noqa: SIM118
                        continue
                    text = (file.metadata() or {}).get("iteration", path.stem)
                    # Of thousands of digits int() raises ValueError, which is reported.
                    iteration = int(text) if text.isdecimal() else None
                    indices = file.get_tensor("indices").flatten().tolist()
            except FileError as error:
                self.unreadable.append(printable(error.message))
                continue
            if iteration is not None:
                rows = {index: row for row, index in enumerate(indices)}
                files.setdefault(iteration, (iteration, path, rows))
        return [files[iteration] for iteration in sorted(files)]


def _read_row(path: Path, row: int) -> Pixels:
    with open_sample(path) as file:
        return read_picture(file, row)
