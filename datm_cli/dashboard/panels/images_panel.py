"""The panel of the synthetic images: the latest sample, beside what the images started from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widgets import Static

from datm_cli.dashboard.panels.panel import error_text, panel_title
from datm_cli.screen.picture_grid import Caption, PictureGrid, PictureSource
from datm_cli.screen.picture_widgets import Pixels
from datm_cli.screen.sample_files import Sample, read_class_names, read_sample, read_start
from datm_engine.errors import DatmError
from datm_engine.runs.state import RunState


@dataclass(frozen=True)
class SampleImages(PictureSource):
    """A sample's images for a `PictureGrid`.

    rows: for each item of the grid, its row in the sample. with_starts: show what the image
    started from at its left. folder: the run's, where the starts are read from.
    """

    sample: Sample
    rows: Sequence[int]
    folder: Path
    with_starts: bool

    @property
    def per_item(self) -> int:
        return 2 if self.with_starts else 1

    def pictures(self, items: range) -> list[list[Pixels | None]]:
        return [[self.start(k), self.now(k)] if self.with_starts else [self.now(k)] for k in items]

    def now(self, item: int) -> Pixels:
        return self.sample.pictures[self.rows[item]]

    def start(self, item: int) -> Pixels | None:
        """None if the file of the starts is missing or damaged."""
        try:
            return read_start(self.folder, int(self.sample.indices[self.rows[item]]))
        except DatmError:
            return None


class ImagesPanel(Vertical):
    """One image of each class, or all images of the sample (`all_images`)."""

    def __init__(self, folder: Path, ipc: int) -> None:
        super().__init__(id="images")
        self.folder, self.ipc = folder, ipc
        self.class_names: tuple[str, ...] = ()
        self.all_images = self.with_starts = False
        self.sample: Sample | None = None
        self._shown: tuple[str, int] | None = None  # path and iteration of the sample
        self.border_title = "images"

    def compose(self) -> ComposeResult:
        yield Static("no images yet", markup=False)
        grid = PictureGrid()
        grid.display = False
        yield grid

    def follow(self, folder: Path) -> None:
        """Show another run's images, as soon as it has some."""
        self.folder, self._shown, self.class_names = folder, None, ()

    def show(self, state: RunState) -> None:
        """Read and show the latest sample, unless it is shown already."""
        if not state.samples:
            return
        latest = max(state.samples, key=lambda event: (event.iteration, event.time))
        if self._shown == (latest.path, latest.iteration):
            return
        try:
            sample = read_sample(self.folder / latest.path)
        except DatmError as error:  # the other panels still work
            self.query_one(Static).update(error_text(error))
            self._show_grid(False)
            return
        if sample is not None:
            self.sample, self._shown = sample, (latest.path, latest.iteration)
            self.redraw()

    def redraw(self) -> None:
        if self.sample is None:
            return
        if not self.class_names:
            self.class_names = read_class_names(self.folder / "distilled.safetensors")
        count, classes = len(self.sample.indices), len(self.class_names)
        # Images are ordered by class, equally many of each.
        step = 1 if self.all_images or not classes else max(1, count // classes)
        rows = range(0, count, step)
        captions = [Caption(self._caption(int(self.sample.indices[row]))) for row in rows]
        images = SampleImages(captions, self.sample, rows, self.folder, self.with_starts)
        grid = self.query_one(PictureGrid)
        self._show_grid(True)
        grid.show(images, grid.picked)
        self._set_title()

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        self._set_title()

    def _set_title(self) -> None:
        page, pages = self.query_one(PictureGrid).pages
        self.border_title = panel_title(
            "images" + (f" at iteration {self.sample.iteration:,}" if self.sample else ""),
            "start | now" if self.with_starts else "",
            f"page {page} of {pages}" if pages > 1 else "",
        )

    def _show_grid(self, visible: bool) -> None:
        """Show the grid, or else the line of text."""
        grid = self.query_one(PictureGrid)
        grid.display = visible
        self.query_one(Static).display = not visible
        if visible and self.app.focused is None:
            grid.focus()

    def _caption(self, index: int) -> str:
        if not self.class_names:
            return f"{index}"
        name = self.class_names[min(index // self.ipc, len(self.class_names) - 1)]
        return f"{name} {index % self.ipc}" if self.all_images and self.ipc > 1 else name
