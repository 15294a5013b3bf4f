"""The list of classes at the side, with means over the labels and images of each."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.text import Text
from textual.app import ComposeResult
from textual.containers import Vertical
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
        height: 1fr;
        scrollbar-size-vertical: 1; scrollbar-color: $border; scrollbar-background: $surface;
    }
    ClassList > OptionList:focus { background-tint: transparent; }
    ClassList > OptionList > .option-list--option-highlighted {
        color: $foreground; background: $panel; text-style: bold;
    }
    ClassList > OptionList:focus > .option-list--option-highlighted {
        color: $accent; background: $panel;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._sets: Sequence[GallerySet] = ()
        self._numbers: Sequence[int] = ()
        self._title = Static(markup=False)
        self._options = OptionList(id="classes", markup=False, compact=True)

    def compose(self) -> ComposeResult:
        yield self._title
        yield self._options

    def fill(self, sets: Sequence[GallerySet], classes: Sequence[int]) -> None:
        self._sets, self._numbers = sets, classes
        self._options.add_options([Option(line) for line in self._lines()])
        self._options.highlighted = 0

    def update_values(self) -> None:
        """Write the lines again, with values that were computed since."""
        for row, line in enumerate(self._lines()):
            self._options.replace_option_prompt_at_index(row, line)

    def pick(self, number: int | None) -> None:
        row = 0 if number is None else self._numbers.index(number) + 1
        self._options.highlighted = row

    def number_of(self, row: int) -> int | None:
        """The class of a row. None for all classes."""
        return self._numbers[row - 1] if row else None

    def _lines(self) -> list[Text]:
        """The lines of the list. Sets the title above and the width of the list, too."""
        first, others = self._sets[0], self._sets[1:]
        columns: list[tuple[str, GallerySet, Callable[[range], float | None]]] = [
            ("entropy", first, first.mean_entropy),
            *(("other", other, other.mean_entropy) for other in others),
        ]
        if first.has_start and not others:
            columns.append(("change", first, first.mean_change))
        names = [first.class_names[number] for number in self._numbers]
        width = min(_WIDEST_NAME, max(map(cell_len, [ALL, *names])))
        title = "class".ljust(width) + "".join(f"{heading:>9}" for heading, _, _ in columns)
        self._title.update(title)
        self.styles.width = cell_len(title) + 3  # padding, and the scroll bar
        lines = [Text(" " + ALL.ljust(width))]
        for number, name in zip(self._numbers, names, strict=True):
            line = Text(name)
            line.truncate(width, overflow="ellipsis", pad=True)
            for _, one, mean in columns:
                value = mean(one.images_of(number))
                line.append("        …" if value is None else f"{value:9.2f}")
            lines.append(Text(" ") + line)
        return lines
