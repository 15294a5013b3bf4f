"""One image: enlarged, beside its start, what changed, its label and its history."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from datm_cli.gallery.label_bars import LabelBars
from datm_cli.screen.picture_grid import Caption, PictureGrid, PictureSource
from datm_cli.screen.picture_widgets import Picture, Pixels
from datm_engine.errors import FileError

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import GallerySet
    from datm_cli.screen.sample_files import HistoryImage

NARROWEST_LABEL = 26  # columns
STRIP_ROWS = 7  # of small pictures with captions
_LEAST_ROWS_WITH_STRIP = 30  # with fewer, the history is a line of text

# Colours of a difference. Lightness increases along the scale, so that it can be read without
# colour.
DARKER = np.array([0x00, 0x72, 0xB2], dtype=np.float64)
SAME = np.array([0x7D, 0x7D, 0x7D], dtype=np.float64)
LIGHTER = np.array([0xE6, 0x9F, 0x00], dtype=np.float64)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


@dataclass(frozen=True)
class ImageHistory(PictureSource):
    """The history of an image for a `PictureGrid`."""

    images: Sequence[HistoryImage]

    def picture(self, item: int) -> Pixels | None:
        """None if the sample is gone: a run that resumes deletes later samples."""
        try:
            return self.images[item].read()
        except FileError:
            return None

    def pictures(self, items: range) -> list[list[Pixels | None]]:
        return [[self.picture(item)] for item in items]


class ImageView(Vertical, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "history(-1)", "history", key_display="←→"),
        Binding("right", "history(1)", show=False),
        Binding("home", "first", "the first iteration", show=False),
        Binding("end", "last", "the last iteration", show=False),
        Binding("down,n", "app.step(1)", "image", key_display="↑↓"),
        Binding("up,p", "app.step(-1)", show=False),
    ]
    DEFAULT_CSS = """
    ImageView { padding: 0 1; }
    ImageView Static { height: 1; }
    ImageView .caption { color: $text-muted; }
    ImageView #large, ImageView #small { width: auto; margin-right: 2; }
    ImageView #facts { height: auto; margin-bottom: 1; }
    ImageView #difference-caption { height: 2; }
    ImageView #strip { height: 7; }
    ImageView #strip > .grid--picked { color: $accent; }
    ImageView #history { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, make_picture: Callable[..., Picture], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make_picture = make_picture
        self._set: GallerySet | None = None
        self._index = 0  # of the image in the set
        self._history = ImageHistory((), ())
        self._strip = PictureGrid(id="strip")
        self._strip.can_focus = False

    def compose(self) -> ComposeResult:
        with Horizontal(id="above"):
            with Vertical(id="large"):
                yield self._make_picture(id="now")
                yield Static(id="now-caption", classes="caption", markup=False)
            with Vertical(id="small"):
                yield self._make_picture(id="start")
                yield Static("start", id="start-caption", classes="caption", markup=False)
                yield self._make_picture(id="difference")
                yield Static(id="difference-caption", classes="caption")
            with Vertical(id="label"):
                yield Static(id="facts")
                yield LabelBars()
        yield Static(id="history", markup=False)
        yield self._strip

    def show(self, one: GallerySet, index: int, *, clip: bool) -> None:
        """Show an image, at the iteration of the set unless it is shown at another already."""
        images = one.history(index, clip=clip)
        item = self._strip.picked
        if (one, index) != (self._set, self._index):
            item = next(k for k, image in enumerate(images) if image.is_of_set)
        captions = [
            Caption(
                f"{image.iteration:,}"
                + ("  set" if image.is_of_set else "" if image.iteration else "  start")
            )
            for image in images
        ]
        self._set, self._index, self._history = one, index, ImageHistory(captions, images)
        self._strip.show(self._history, item)
        own = one.class_of(index)
        self.query_one(LabelBars).show(one.class_names, one.probabilities(index), own)
        self.on_resize()
        self._update()

    def action_history(self, by: int) -> None:
        self._strip.pick(self._strip.picked + by)

    def action_first(self) -> None:
        self._strip.action_first()

    def action_last(self) -> None:
        self._strip.action_last()

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        event.stop()
        if self._set is not None:
            self._update()

    def on_resize(self) -> None:
        """Lay out: the large picture is limited by height and width, the start and the difference
        are half as large, the label has the remaining columns."""
        if self._set is None or not self.size.area:
            return
        has_start = self._set.has_start
        width, height = self.size
        has_strip = height >= _LEAST_ROWS_WITH_STRIP and self._strip.count > 1
        self._strip.display = has_strip
        rows = height - 1 - (STRIP_ROWS if has_strip else 0)
        columns = width - NARROWEST_LABEL - (4 if has_start else 2)
        # A picture is twice as many columns wide as rows tall.
        large = max(2, min(rows - 1, columns // (3 if has_start else 2)))
        small = min(large // 2, (rows - 3) // 2)
        self.query_one("#small").display = has_start
        for name, side in (("now", large), ("start", small), ("difference", small)):
            picture = self.query_one(f"#{name}", Picture)
            picture.styles.width, picture.styles.height = 2 * side, side
            self.query_one(f"#{name}-caption").styles.width = 2 * side

    def _update(self) -> None:
        """Show the picked item of the history, and what is known of the image."""
        one, index = self._set, self._index
        assert one is not None
        image = self._history.images[self._strip.picked]
        taken = f"iteration {image.iteration:,} can no longer be read"
        if (picture := self._history.picture(self._strip.picked)) is not None:
            kind = "the set" if image.is_of_set else "a sample" if image.iteration else "start"
            taken = f"{kind}, iteration {image.iteration:,}"
        self.query_one("#now", Picture).show(picture)
        self.query_one("#now-caption", Static).update(taken)
        start = one.start(index)
        if start is not None:
            # The start is clipped, so it is compared with a clipped picture.
            now = one.pictures([index])[0] if image.is_of_set else picture
            self._show_difference(now, start)
        change = one.change(index)
        facts = Text.assemble(
            (one.title(index), "bold"),
            f"  of {one.ipc}\n" if one.ipc > 1 else "\n",
            f"entropy  {one.entropy[index]:.2f} nats  {one.entropy[index] / one.max_entropy:.0%}",
        )
        if one.has_start:
            facts.append("\nchange   " + ("…" if change is None else f"{change:.3f} rms"))
        self.query_one("#facts", Static).update(facts)
        self.query_one("#history", Static).update(self._history_line(one))

    def _show_difference(self, now: Pixels | None, start: Pixels) -> None:
        self.query_one("#start", Picture).show(start)
        colours, caption = None, ""
        if now is not None:
            colours, largest = signed_difference(now, start)
            caption = f"difference ±{largest:.2f}\n[$primary]darker[/] · [$accent]lighter[/]"
            caption = caption if largest else "no difference"
        self.query_one("#difference", Picture).show(colours)
        self.query_one("#difference-caption", Static).update(caption)

    def _history_line(self, one: GallerySet) -> str:
        if one.samples is None:
            return "A file has no history: only runs save samples."
        line = f"history  {self._strip.picked + 1} of {self._strip.count}  ← →"
        if not one.samples.images_of(self._index):
            line = "No sample shows this image: runs save a few of each class."
        if unreadable := one.samples.unreadable:
            line += f"   {len(unreadable)} cannot be read: {unreadable[0]}"
        return line


def signed_difference(now: Pixels, start: Pixels) -> tuple[Pixels, float]:
    """Colour where a picture got darker (blue) or lighter (orange) than its start.

    Returns uint8 [height, width, 3], and the largest difference in luminance, in [0, 1], which has
    the full colour.
    """
    # [height, width, 1 or 3] × [3] → [height, width]: grey counts as three equal channels.
    change = ((now / 255.0 - start / 255.0) * _LUMINANCE).sum(axis=-1)
    largest = float(np.abs(change).max())
    share = change[..., None] / (largest or 1.0)
    colours = SAME + np.abs(share) * (np.where(share < 0, DARKER, LIGHTER) - SAME)
    return colours.round().astype(np.uint8), largest
