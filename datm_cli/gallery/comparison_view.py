"""The same image of two sets beside each other, with both labels."""

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
    from datm_cli.gallery.gallery_set import Collection

FEWEST_BARS = 6  # rows, with their heading


class Half(Vertical):
    """An image of one set."""

    def __init__(self, make_picture: Callable[..., Picture]) -> None:
        super().__init__()
        self._make = make_picture

    def compose(self) -> ComposeResult:
        yield Static(classes="name", markup=False)
        yield Static(classes="caption", markup=False)
        yield self._make()
        yield LabelBars()

    def show(self, one: Collection, index: int | None, number: int, *, clip: bool) -> None:
        self.query_one(".name", Static).update(one.name)
        bars, picture = self.query_one(LabelBars), self.query_one(Picture)
        bars.display = picture.display = index is not None
        if index is None:
            name = one.class_names[number]
            told = f"no such image: {one.ipc} of {name}"
        else:
            picture.show(one.pictures([index], clip=clip)[0])
            bars.show(one.class_names, one.shares(index), number)
            change = one.change(index)
            told = f"entropy {one.entropy[index]:.2f} nats"
            told += "" if change is None else f"   change {change:.3f} rms"
            told += f"   iteration {one.iteration:,}"
        self.query_one(".caption", Static).update(told)

    def on_resize(self) -> None:
        """The picture takes what the bars can spare."""
        rows = max(2, min(self.size.height - 3 - FEWEST_BARS, (self.size.width - 2) // 2))
        picture = self.query_one(Picture)
        picture.styles.width, picture.styles.height = 2 * rows, rows


class Comparison(Horizontal, can_focus=True):
    """↑ and ↓ walk through the images of both."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("down,right,n", "app.step(1)", "image", key_display="↑↓"),
        Binding("up,left,p", "app.step(-1)", show=False),
    ]
    DEFAULT_CSS = """
    Comparison { width: 1fr; height: 1fr; padding: 0 1; }
    Comparison Half { width: 1fr; height: 1fr; }
    Comparison Half:first-child { margin-right: 2; }
    Comparison Static { height: 1; }
    Comparison .name { text-style: bold; }
    Comparison .caption { color: $text-muted; }
    Comparison Picture { margin-bottom: 1; }
    """

    def __init__(self, make_picture: Callable[..., Picture], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make = make_picture

    def compose(self) -> ComposeResult:
        yield Half(self._make)
        yield Half(self._make)

    def show(
        self,
        collections: Sequence[Collection],
        images: Sequence[int | None],
        number: int,
        *,
        clip: bool,
    ) -> None:
        """images: of each set, None where it has none; number: the class."""
        for half, one, index in zip(self.query(Half), collections, images, strict=True):
            half.show(one, index, number, clip=clip)
