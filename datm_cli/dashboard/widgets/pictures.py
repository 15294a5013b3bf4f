"""The synthetic images as they stand now: one of every class, beside what they started from."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import RenderableType
from rich.text import Text

from datm_cli.dashboard.samples import Sample, read_class_names, read_sample, read_start
from datm_cli.dashboard.state import State
from datm_cli.dashboard.widgets.region import Region
from datm_cli.pictures import Grid, size_in_cells

ROOMS = ((8, 4), (12, 6), (16, 8), (24, 12), (32, 16), (48, 24), (64, 32))
USUAL = 1  # 12 × 6 cells, the least that can be read


class Pictures(Region):
    def __init__(self, folder: Path, ipc: int) -> None:
        super().__init__(id="pictures", title="images")
        self.folder, self.ipc = folder, ipc
        self.class_names: tuple[str, ...] = ()
        self.zoom, self.page, self.all_images, self.beside_start = USUAL, 0, False, False
        self._shown: tuple[str, int, Sample] | None = None
        self._starts: dict[int, NDArray[np.uint8]] = {}

    def draw(self, state: State) -> RenderableType:
        sample = self._sample(state)
        if sample is None:
            return Text("no images yet", style="dim")
        if not self.class_names:
            self.class_names = read_class_names(self.folder / "distilled.safetensors")
        chosen = self._chosen(sample)
        height, width = sample.pictures.shape[1:3]
        columns, rows = size_in_cells(height, width, ROOMS[self.zoom])
        group = 2 if self.beside_start else 1
        across = max(1, (self.size.width + 2) // ((columns + 2) * group))
        down = max(1, (self.size.height + 1) // (rows + 2))
        pages = max(1, -(-len(chosen) // (across * down)))
        self.page = min(self.page, pages - 1)
        chosen = chosen[self.page * across * down :][: across * down]
        self.entitle(
            f"images at iteration {sample.iteration:,}",
            f"page {self.page + 1} of {pages}" if pages > 1 else "",
        )
        pictures = [sample.pictures[place] for place in chosen]
        captions = [self._caption(int(sample.indices[place])) for place in chosen]
        if self.beside_start:
            starts = [self._start(int(sample.indices[place])) for place in chosen]
            pairs = zip(starts, pictures, strict=True)
            pictures = [picture for pair in pairs for picture in pair]
            captions = [text for caption in captions for text in ("start", caption)]
        return Grid(np.stack(pictures), captions, room=ROOMS[self.zoom], group=group)

    def turn(self, pages: int) -> None:
        self.page = max(0, self.page + pages)
        self.redraw()

    def magnify(self, steps: int) -> None:
        self.zoom = min(max(self.zoom + steps, 0), len(ROOMS) - 1)
        self.redraw()

    def _sample(self, state: State) -> Sample | None:
        """The latest that was told of; a preview is a file that is written over and over."""
        if not state.samples:
            return None
        latest = max(state.samples, key=lambda event: (event.iteration, event.time))
        key = (latest.path, latest.iteration)
        if self._shown is None or self._shown[:2] != key:
            sample = read_sample(self.folder / latest.path, latest.iteration)
            if sample is not None:
                self._shown = (*key, sample)
        return self._shown[2] if self._shown else None

    def _chosen(self, sample: Sample) -> list[int]:
        """Places in the sample: of all its images, or of the first of every class."""
        if self.all_images or not self.class_names:
            return list(range(len(sample.indices)))
        per_class = max(1, len(sample.indices) // len(self.class_names))
        return list(range(0, len(sample.indices), per_class))

    def _caption(self, index: int) -> str:
        if not self.class_names:
            return f"{index}"
        name = self.class_names[min(index // self.ipc, len(self.class_names) - 1)]
        return f"{name} {index % self.ipc}" if self.all_images and self.ipc > 1 else name

    def _start(self, index: int) -> NDArray[np.uint8]:
        if index not in self._starts:
            self._starts[index] = read_start(self.folder, index)
        return self._starts[index]
