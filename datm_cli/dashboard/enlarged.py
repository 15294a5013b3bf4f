"""One image of the dashboard as large as the screen allows, beside what it started from."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from datm_cli.screen.picture_widgets import Picture
from datm_cli.text.escapes import printable

Titled = tuple[str, NDArray[np.uint8]]


class Enlarged(ModalScreen[None]):
    """`pictures`: what each is, and uint8 [height, width, 1 or 3]; `make` makes their widgets."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,ctrl+c", "dismiss", "close", priority=True)
    ]
    DEFAULT_CSS = """
    Enlarged { align: center middle; }
    Enlarged > Horizontal { width: 96%; height: 90%; background: $panel; border: round $accent; }
    Enlarged Vertical { width: 1fr; padding: 0 1; }
    Enlarged Static { height: 1; color: $text-muted; }
    Enlarged Picture { width: 1fr; height: 1fr; }
    """

    def __init__(
        self, caption: str, pictures: Sequence[Titled], make: Callable[..., Picture]
    ) -> None:
        super().__init__()
        self.caption, self.pictures, self.make = caption, pictures, make

    def compose(self) -> ComposeResult:
        with Horizontal() as box:
            box.border_title = Content(printable(self.caption))
            for title, pixels in self.pictures:
                with Vertical():
                    yield Static(title, markup=False)
                    picture = self.make()
                    picture.show(pixels)
                    yield picture
