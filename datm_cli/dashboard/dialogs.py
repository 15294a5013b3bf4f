"""Dialogs that open above the dashboard: enlarged images, and the question before a stop; and the
words that its help explains."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widgets import Static

from datm_cli.screen.picture_widgets import Picture, Pixels

# What the words on the screen mean, for `?`.
GLOSSARY = {
    "expert": "a network trained on the real images; its weights after every epoch are kept",
    "matching loss": "how far a student, trained on the distilled images from an expert's weights, "
    "ends from where the expert was some epochs later; 1: no closer than at its start",
    "window": "the epochs of the experts from which starts are drawn; early epochs know easy "
    "patterns, late ones hard patterns",
    "T⁻  T  T⁺": "the window's first epoch, its last one now, and the last one that it grows to",
    "η": "the learning rate of the student, learned with the images",
    "soft label": "a score for each class, learned with the image",
    "ipc": "distilled images per class",
    "held-out": "training images that nothing is trained on; they choose the best iteration",
    "gap to lossless": "accuracy of training on all images, minus that on the distilled ones",
    "calibration": "settings are derived from what the experts know",
}


class EnlargedImages(ModalScreen[None]):
    """Images side by side, as large as the screen allows.

    images: (title, uint8 [height, width, 1 or 3]) each. make_picture: creates their widgets.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q,ctrl+c", "dismiss", "close", priority=True)
    ]
    DEFAULT_CSS = """
    EnlargedImages { align: center middle; }
    EnlargedImages > Horizontal {
        width: 96%; height: 90%; background: $panel; border: round $accent;
    }
    EnlargedImages Vertical { width: 1fr; padding: 0 1; }
    EnlargedImages Static { height: 1; color: $text-muted; }
    EnlargedImages Picture { width: 1fr; height: 1fr; }
    """

    def __init__(
        self,
        caption: str,
        images: Sequence[tuple[str, Pixels]],
        make_picture: Callable[..., Picture],
    ) -> None:
        super().__init__()
        self.caption, self.images, self.make_picture = caption, images, make_picture

    def compose(self) -> ComposeResult:
        with Horizontal() as box:
            box.border_title = Content(self.caption)  # content, because a string is markup
            for title, pixels in self.images:
                with Vertical():
                    yield Static(title, markup=False)
                    picture = self.make_picture()
                    picture.show(pixels)
                    yield picture


class StopDialog(ModalScreen[bool]):
    """Ask whether to stop a run. The answer is the dialog's result."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("y", "dismiss(True)", "yes"),
        Binding("n,escape,q,ctrl+c", "dismiss(False)", "no", priority=True),
    ]
    DEFAULT_CSS = """
    StopDialog { align: center middle; }
    StopDialog > Vertical {
        width: auto; max-width: 90%; height: auto; padding: 1 3;
        background: $panel; border: round $accent;
    }
    StopDialog Static { width: auto; }
    """

    def __init__(self, run_name: str) -> None:
        super().__init__()
        self.run_name = run_name

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(f"Stop {self.run_name}?", markup=False)
            yield Static("It saves a checkpoint after the current step and ends.", markup=False)
            yield Static("\ny  yes    n  no", markup=False)
