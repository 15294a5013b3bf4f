"""The list of classes at the side, with means over the labels and images of each."""

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
    from datm_cli.gallery.gallery_set import GallerySet

ALL = "all classes"
_WIDEST_NAME = 18


class ClassList(Vertical):
    """`all classes`, then each class. On a narrow screen only the names are visible."""

    DEFAULT_CSS = """
    ClassList { background: $surface; }
    ClassList > Static { height: 1; padding: 0 0 0 1; color: $text-muted; }
    ClassList > Static, ClassList > OptionList { text-wrap: nowrap; text-overflow: clip; }
    ClassList > OptionList {
        height: 1fr; padding: 0; border: none; background: $surface;
        scrollbar-size-vertical: 1; scrollbar-color: $border; scrollbar-background: $surface;
    }
    ClassList > OptionList:focus { border: none; background-tint: transparent; }
    ClassList > OptionList > .option-list--option-highlighted {
        color: $foreground; background: $panel; text-style: bold;
    }
    ClassList > OptionList:focus > .option-list--option-highlighted {
        color: $accent; background: $panel;
    }
    """

    class ClassPicked(Message):
        """number: of the class; None for all classes."""

        def __init__(self, number: int | None) -> None:
            super().__init__()
            self.number = number

    def __init__(self) -> None:
        super().__init__()
        self._sets: Sequence[GallerySet] = ()
        self._numbers: Sequence[int] = ()

    def compose(self) -> ComposeResult:
        yield Static(markup=False)
        yield OptionList(markup=False, compact=True)

    def fill(self, sets: Sequence[GallerySet], classes: Sequence[int]) -> None:
        self._sets, self._numbers = sets, classes
        options = self.query_one(OptionList)
        options.add_options([Option(line) for line in self._lines()])
        options.highlighted = 0

    def update_values(self) -> None:
        """Write the lines again, with values that were computed since."""
        options = self.query_one(OptionList)
        for row, line in enumerate(self._lines()):
            options.replace_option_prompt_at_index(row, line)

    def pick(self, number: int | None) -> None:
        row = 0 if number is None else self._numbers.index(number) + 1
        self.query_one(OptionList).highlighted = row

    def on_option_list_option_highlighted(self, event: OptionList.OptionHighlighted) -> None:
        event.stop()
        row = event.option_index
        self.post_message(self.ClassPicked(self._numbers[row - 1] if row else None))

    def _lines(self) -> list[Text]:
        """The lines of the list. Sets the title above and the width of the list, too."""
        first, is_single = self._sets[0], len(self._sets) == 1
        names = [first.class_names[number] for number in self._numbers]
        width = min(_WIDEST_NAME, max(map(cell_len, [ALL, *names])))
        columns = ["entropy"]
        if not is_single:
            columns.append("other")
        elif first.has_start:
            columns.append("change")
        title = "class".ljust(width) + "".join(f"{column:>9}" for column in columns)
        self.query_one(Static).update(title)
        self.styles.width = cell_len(title) + 3  # padding, and the scroll bar
        lines = [Text(" " + ALL.ljust(width))]
        for number, name in zip(self._numbers, names, strict=True):
            if cell_len(name) > width:
                name = set_cell_size(name, width - 1) + "…"
            values: list[float | None] = [
                one.mean_entropy(one.images_of(number)) for one in self._sets
            ]
            if is_single and first.has_start:
                values.append(first.mean_change(first.images_of(number)))
            line = " " + set_cell_size(name, width)
            line += "".join("        …" if v is None else f"{v:9.2f}" for v in values)
            lines.append(Text(line))
        return lines
