"""The panel of the synthetic images: the latest sample, beside what the images started from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import Static

from datm_cli.dashboard.panels.panel import error_text, panel_title
from datm_cli.screen.picture_grid import Caption, PictureGrid, PictureSource
from datm_cli.screen.picture_widgets import Pixels
from datm_cli.screen.sample_files import Sample, read_class_names, read_sample, read_start
from datm_engine.errors import DatmError
from datm_engine.runs.directory import REAL_IMAGES
from datm_engine.runs.events import SampleSaved
from datm_engine.runs.state import RunState

_SCRUBBER = 10  # columns of the line of samples


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


class SampleGrid(PictureGrid):
    """← and → go through the samples, as they do in the gallery; ↑ and ↓ pick an image."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "scrub(-1)", "images earlier, later", key_display="← →", show=False),
        Binding("right", "scrub(1)", show=False),
        Binding("up", "move(-1, 0)", "pick", key_display="↑ ↓", show=False),
        Binding("down", "move(1, 0)", show=False),
    ]

    class Scrubbed(Message):
        """A sample `by` earlier (−1) or later (1) is to be shown."""

        def __init__(self, by: int) -> None:
            super().__init__()
            self.by = by

    def action_scrub(self, by: int) -> None:
        self.post_message(self.Scrubbed(by))


class ImagesPanel(Vertical):
    """One image of each class, or all images of the sample (`all_images`).

    Real images until there are synthetic ones. `chosen`: the iteration of the sample that is shown,
    None for the latest.
    """

    def __init__(self, folder: Path, ipc: int) -> None:
        super().__init__(id="images")
        self.folder, self.ipc = folder, ipc
        self.class_names: tuple[str, ...] = ()
        self.all_images = self.with_starts = False
        self.sample: Sample | None = None
        self.chosen: int | None = None
        self._samples: list[SampleSaved] = []  # oldest first
        self._shown: tuple[str, int] | None = None  # path and iteration of the sample
        self.border_title = "images"

    def compose(self) -> ComposeResult:
        yield Static("no images yet", markup=False)
        grid = SampleGrid()
        grid.display = False
        yield grid

    def follow(self, folder: Path) -> None:
        """Show another run's images, as soon as it has some."""
        self.folder, self._shown, self.class_names, self.chosen = folder, None, (), None

    def show(self, state: RunState) -> None:
        """Read and show the chosen sample or the latest, unless it is shown already."""
        self._samples = sorted(state.samples, key=lambda event: (event.iteration, event.time))
        if not self._samples:
            self._samples = [SampleSaved(iteration=0, path=REAL_IMAGES)]
        self._show_sample()

    def _show_sample(self) -> None:
        chosen = [event for event in self._samples if event.iteration == self.chosen]
        latest = (chosen or self._samples)[-1]
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

    def on_sample_grid_scrubbed(self, event: SampleGrid.Scrubbed) -> None:
        """Show the sample before or after. A long run has removed some of those it reported."""
        present = [each for each in self._samples if (self.folder / each.path).exists()]
        iterations = sorted({each.iteration for each in present})
        now = self.sample.iteration if self.sample else 0
        others = [each for each in iterations if (each - now) * event.by > 0]
        if others:
            chosen = min(others) if event.by > 0 else max(others)
            self.chosen = None if chosen == iterations[-1] else chosen
            self._show_sample()

    def redraw(self) -> None:
        if self.sample is None:
            return
        if not self.class_names:
            for name in ("distilled.safetensors", REAL_IMAGES):
                self.class_names = self.class_names or read_class_names(self.folder / name)
        count, classes = len(self.sample.indices), len(self.class_names)
        # Images are ordered by class, equally many of each.
        step = 1 if self.all_images or not classes else max(1, count // classes)
        rows = range(0, count, step)
        captions = [Caption(self._caption(self.sample, row)) for row in rows]
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
            self._what(),
            "start | now" if self.with_starts else "",
            f"page {page} of {pages}" if pages > 1 else "",
            self._scrubber(),
        )

    def _what(self) -> str:
        if self._shown and self._shown[0] == REAL_IMAGES:
            return "real images, one a class, until the first distilled ones"
        return "images" + (f" at iteration {self.sample.iteration:,}" if self.sample else "")

    def _scrubber(self) -> str:
        """Which of the samples is shown, on a line from the start to now."""
        iterations = sorted({event.iteration for event in self._samples})
        if self.sample is None or len(iterations) < 2 or self.size.width < 45:
            return ""
        last = iterations[-1]
        at = round(_SCRUBBER * min(1.0, self.sample.iteration / last))
        return f"← {'━' * at}●{'─' * (_SCRUBBER - at)} →"

    def _show_grid(self, visible: bool) -> None:
        """Show the grid, or else the line of text."""
        grid = self.query_one(PictureGrid)
        grid.display = visible
        self.query_one(Static).display = not visible
        if visible and self.app.focused is None:
            grid.focus()

    def _caption(self, sample: Sample, row: int) -> str:
        """The class of an image and, if known, what its soft label takes it for."""
        index = int(sample.indices[row])
        if not self.class_names:
            return f"{index}"
        is_real = self._shown is not None and self._shown[0] == REAL_IMAGES
        number = min(index if is_real else index // self.ipc, len(self.class_names) - 1)
        name = self.class_names[number]
        if self.all_images and self.ipc > 1 and not is_real:
            name = f"{name} {index % self.ipc}"
        if sample.taken_for is None or sample.probability is None:
            return name
        taken_for = int(sample.taken_for[row])
        other = f" → {self.class_names[taken_for]}" if taken_for != number else ""
        return f"{name}{other} {sample.probability[row]:.0%}"
