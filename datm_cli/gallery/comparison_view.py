"""The same image of two sets side by side, with both labels."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import Static

from datm_cli.gallery.label_bars import LabelBars
from datm_cli.screen.picture_widgets import Picture

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import GallerySet

FEWEST_BARS = 6  # rows, with their title


class ComparedImage(Vertical):
    """The image of one of the sets."""

    def __init__(self, make_picture: Callable[..., Picture]) -> None:
        super().__init__()
        self._make_picture = make_picture

    def compose(self) -> ComposeResult:
        yield Static(classes="name", markup=False)
        yield Static(classes="caption", markup=False)
        yield self._make_picture()
        yield LabelBars()

    def show(self, one: GallerySet, index: int | None, number: int, *, clip: bool) -> None:
        self.query_one(".name", Static).update(one.name)
        bars, picture = self.query_one(LabelBars), self.query_one(Picture)
        bars.display = picture.display = index is not None
        if index is None:
            caption = f"no such image: {one.ipc} of {one.class_names[number]}"
        else:
            picture.show(one.pictures([index], clip=clip)[0])
            bars.show(one.class_names, one.probabilities(index), number)
            change = one.change(index)
            caption = f"entropy {one.entropy[index]:.2f} nats"
            caption += "" if change is None else f"   change {change:.3f} rms"
            caption += f"   iteration {one.iteration:,}"
        self.query_one(".caption", Static).update(caption)

    def on_resize(self) -> None:
        """The picture has the rows that the bars do not need."""
        rows = max(2, min(self.size.height - 3 - FEWEST_BARS, (self.size.width - 2) // 2))
        picture = self.query_one(Picture)
        picture.styles.width, picture.styles.height = 2 * rows, rows


class ComparisonView(Horizontal, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,right,n", "app.step(1)", "image", key_display="↑↓"),
        Binding("up,left,p", "app.step(-1)", show=False),
    ]
    DEFAULT_CSS = """
    ComparisonView { padding: 0 1; }
    ComparisonView ComparedImage:first-child { margin-right: 2; }
    ComparisonView Static { height: 1; }
    ComparisonView .name { text-style: bold; }
    ComparisonView .caption { color: $text-muted; }
    ComparisonView Picture { margin-bottom: 1; }
    """

    def __init__(self, make_picture: Callable[..., Picture], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make_picture = make_picture

    def compose(self) -> ComposeResult:
        yield ComparedImage(self._make_picture)
        yield ComparedImage(self._make_picture)

    def show(
        self,
        sets: Sequence[GallerySet],
        images: Sequence[int | None],
        number: int,
        *,
        clip: bool,
    ) -> None:
        """images: of each set, None where it has none. number: of the class."""
        for side, one, index in zip(self.query(ComparedImage), sets, images, strict=True):
            side.show(one, index, number, clip=clip)
