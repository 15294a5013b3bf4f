"""The synthetic images as they stand now: one of every class, beside what they started from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from datm_cli.dashboard.panels.panel import titled, told_of
from datm_cli.dashboard.samples import Sample, read_class_names, read_sample, read_start
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_wall import Caption
from datm_engine.errors import DatmError
from datm_engine.runs.state import RunState

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class SampleWall:
    """`places`: for each place, which of the sample's pictures hangs there; with `starts`, that
    picture behind what it started from."""

    sample: Sample
    places: Sequence[int]
    captions: Sequence[str]
    folder: Path
    starts: bool

    @property
    def beside(self) -> int:
        return 2 if self.starts else 1

    def __len__(self) -> int:
        return len(self.places)

    def pictures(self, places: range) -> list[list[Pixels | None]]:
        return [self.of(place) for place in places]

    def of(self, place: int) -> list[Pixels | None]:
        now: Pixels = self.sample.pictures[self.places[place]]
        return [self._start(place), now] if self.starts else [now]

    def _start(self, place: int) -> Pixels | None:
        """None where the file of starts is missing or damaged: the place stays empty."""
        try:
            return read_start(self.folder, int(self.sample.indices[self.places[place]]))
        except DatmError:
            return None

    def caption(self, place: int) -> Caption:
        return Caption(self.captions[place])


class Pictures(Vertical):
    def __init__(self, folder: Path, ipc: int) -> None:
        super().__init__(id="pictures")
        self.folder, self.ipc = folder, ipc
        self.class_names: tuple[str, ...] = ()
        self.all_images = self.beside_start = False
        self.sample: Sample | None = None
        self._key: tuple[str, int] | None = None
        self.border_title = "images"

    def compose(self) -> ComposeResult:
        yield Static("no images yet", markup=False)
        yield PictureGrid()

    def on_mount(self) -> None:
        self.query_one(PictureGrid).display = False

    def turn_to(self, folder: Path) -> None:
        """Pictures of another run from here on; those that hang stay until it has some."""
        self.folder, self._key, self.class_names = folder, None, ()

    def show(self, state: RunState) -> None:
        """Hang the latest sample, if it is another than the one that hangs."""
        if not state.samples:
            return
        latest = max(state.samples, key=lambda event: (event.iteration, event.time))
        if self._key == (latest.path, latest.iteration):
            return
        try:
            sample = read_sample(self.folder / latest.path, latest.iteration)
        except DatmError as problem:  # the rest of the screen is still worth seeing
            self.query_one(Static).update(told_of(problem))
            self._reveal(False)
            return
        if sample is not None:
            self.sample, self._key = sample, (latest.path, latest.iteration)
            self.hang()

    def hang(self) -> None:
        """The sample as it is to be seen: all its images or one of every class, with starts or
        without."""
        if self.sample is None:
            return
        if not self.class_names:
            self.class_names = read_class_names(self.folder / "distilled.safetensors")
        places = self._places(self.sample)
        captions = [self._caption(int(self.sample.indices[place])) for place in places]
        wall = SampleWall(self.sample, places, captions, self.folder, self.beside_start)
        grid = self.query_one(PictureGrid)
        self._reveal(True)
        grid.hang(wall, grid.picked)
        self.entitle()

    def entitle(self) -> None:
        page, pages = self.query_one(PictureGrid).pages
        at = "" if self.sample is None else f" at iteration {self.sample.iteration:,}"
        turned = f"page {page} of {pages}" if pages > 1 else ""
        beside = "start | now" if self.beside_start else ""
        self.border_title = titled(f"images{at}", beside, turned)

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        self.entitle()

    def _reveal(self, pictures: bool) -> None:
        grid = self.query_one(PictureGrid)
        grid.display = pictures
        self.query_one(Static).display = not pictures
        if pictures and self.app.focused is None:
            grid.focus()

    def _places(self, sample: Sample) -> list[int]:
        per_class = max(1, len(sample.indices) // max(1, len(self.class_names)))
        step = 1 if self.all_images or not self.class_names else per_class
        return list(range(0, len(sample.indices), step))

    def _caption(self, index: int) -> str:
        if not self.class_names:
            return f"{index}"
        name = self.class_names[min(index // self.ipc, len(self.class_names) - 1)]
        return f"{name} {index % self.ipc}" if self.all_images and self.ipc > 1 else name
