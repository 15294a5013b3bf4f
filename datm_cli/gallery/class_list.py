"""The side of the gallery: every class with what its labels and images are like on average."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.message import Message
from textual.widgets import OptionList, Static
from textual.widgets.option_list import Option

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import Collection

ALL = "all classes"
_WIDEST_NAME = 18


class ClassList(Vertical):
    """`all classes` and below it each one; on a narrow screen only the names fit."""

    DEFAULT_CSS = """
    ClassList { background: $surface; }
    ClassList > Static { height: 1; padding: 0 0 0 1; color: $text-muted; }
    ClassList > Static, ClassList > OptionList { text-wrap: nowrap; text-overflow: clip; }
    ClassList > OptionList {
        height: 1fr; padding: 0; border: none; background: $surface;
        scrollbar-size-vertical: 1; scrollbar-color: $border; scrollbar-background: $surface;
    }
    ClassList > OptionList:focus { border: none; }
    ClassList > OptionList > .option-list--option-highlighted {
        color: $foreground; background: $panel; text-style: bold;
    }
    ClassList > OptionList:focus { background-tint: transparent; }
    ClassList > OptionList:focus > .option-list--option-highlighted {
        color: $accent; background: $panel;
    }
    """

    class Chosen(Message):
        """A class to look at, by its number; None for all of them."""

        def __init__(self, number: int | None) -> None:
            super().__init__()
            self.number = number

    def __init__(self, *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._collections: Sequence[Collection] = ()
        self._numbers: Sequence[int] = ()

    def compose(self) -> ComposeResult:
        yield Static(markup=False)
        yield OptionList(markup=False, compact=True)

    def fill(self, collections: Sequence[Collection], classes: Sequence[int]) -> None:
        self._collections, self._numbers = collections, classes
        choices = self.query_one(OptionList)
        choices.clear_options()
        choices.add_options([Option(prompt) for prompt in self._prompts()])
        choices.highlighted = 0
        self._measure()

    def tell_anew(self) -> None:
        """Write the lines again, as more is known."""
        choices = self.query_one(OptionList)
        for place, prompt in enumerate(self._prompts()):
            choices.replace_option_prompt_at_index(place, prompt)
        self._measure()

    def choose(self, number: int | None) -> None:
        """Put the highlight on a class, or on all of them."""
        place = 0 if number is None else self._numbers.index(number) + 1
        self.query_one(OptionList).highlighted = place

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        place = event.option_index
        self.post_message(self.Chosen(self._numbers[place - 1] if place else None))

    @property
    def _name_width(self) -> int:
        names = [self._collections[0].class_names[number] for number in self._numbers]
        return min(_WIDEST_NAME, max(map(cell_len, [ALL, *names])))

    def _measure(self) -> None:
        titles = "".join(f"{title:>9}" for title in self._titles())
        heading = "class".ljust(self._name_width) + titles
        self.query_one(Static).update(heading)
        self.styles.width = cell_len(heading) + 3  # padding, and the scroll bar

    def _titles(self) -> list[str]:
        if len(self._collections) > 1:
            return ["entropy", "other"]
        return ["entropy", "change"] if self._collections[0].has_start else ["entropy"]

    def _prompts(self) -> list[Text]:
        if not self._collections:
            return []
        width, first = self._name_width, self._collections[0]
        lines = [Text(" " + ALL.ljust(width))]
        for number in self._numbers:
            line = Text(" " + _cut(first.class_names[number], width))
            for value in self._values(number):
                line.append("        …" if value is None else f"{value:9.2f}")
            lines.append(line)
        return lines

    def _values(self, number: int) -> list[float | None]:
        first = self._collections[0]
        if len(self._collections) > 1:
            return [one.mean_entropy(number) for one in self._collections]
        changes = [first.mean_change(number)] if first.has_start else []
        return [first.mean_entropy(number), *changes]


def _cut(name: str, width: int) -> str:
    if cell_len(name) > width:
        return set_cell_size(name, width - 1) + "…"
    return set_cell_size(name, width)
