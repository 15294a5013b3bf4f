"""The gallery: which view is shown, and what each key does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

from rich.console import RenderableType
from rich.text import Text
from textual import on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import ContentSwitcher, Footer, OptionList, Static
from textual.worker import get_current_worker

from datm_cli.gallery.class_list import ALL, ClassList
from datm_cli.gallery.comparison_view import ComparisonView
from datm_cli.gallery.grid_order import GridImages, Order, class_grid, image_grid
from datm_cli.gallery.image_view import ImageView
from datm_cli.screen.full_screen import FullScreenApp, heading
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_widgets import Picture
from datm_cli.target import choose_classes, find, read
from datm_cli.text.escapes import printable

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import GallerySet

# The sets, and the numbers of the classes to show.
Loaded = tuple[Sequence["GallerySet"], Sequence[int]]


def set_loader(
    targets: Sequence[str], class_names: Sequence[str] | None, runs_dir: Path, *, last: bool
) -> Callable[[], Loaded]:
    """Find the sets now, and return a function that reads them, which takes seconds.

    Raises ConfigError or RunError for a run or a file that does not exist. Other problems are
    raised by the function.
    """
    paths = [find(target, runs_dir, last=last) for target in targets]

    def load() -> Loaded:
        from datm_cli.gallery.gallery_set import GallerySet, check_comparable

        target_sets = [read(t, path, last=last) for t, path in zip(targets, paths, strict=True)]
        sets = [GallerySet(target_set) for target_set in target_sets]
        check_comparable(sets)
        known = target_sets[0].synthetic.class_names
        return sets, choose_classes(class_names, known, sets[0].dataset)

    return load


class GalleryApp(FullScreenApp):
    """One distilled set, or two side by side.

    names: of the sets, shown until `load` returns, which runs in a thread. error: what `load`
    raised; it ends the app.
    """

    CSS_PATH = "gallery.tcss"
    TITLE = "datm inspect"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "up", "back", key_display="esc"),
        Binding("o", "order", "order"),
        Binding("c", "clip", "clip"),
        Binding("[", "class(-1)", "the class before", show=False),
        Binding("]", "class(1)", "the next class", show=False),
    ]

    def __init__(
        self,
        names: Sequence[str],
        load: Callable[[], Loaded],
        *,
        clip: bool = True,
        make_picture: Callable[..., Picture] = Picture,
    ) -> None:
        super().__init__()
        self.error: Exception | None = None
        self.clip = clip
        self._names = [printable(name) for name in names]
        self._load = load
        self._make_picture = make_picture
        self._sets: Sequence[GallerySet] = ()
        self._numbers: Sequence[int] = ()
        self._order = Order.NUMBER
        self._class: int | None = None  # in the grid; None: one image of each class
        self._images: GridImages | None = None  # in the grid
        self._item = 0  # of the grid, shown as an image

    def compose(self) -> ComposeResult:
        # Widgets are kept, because queries search the top screen only, which may be the help.
        self._title = Static(" | ".join(self._names), id="title", markup=False)
        self._list, self._heading = ClassList(), Heading(id="heading")
        self._grid = PictureGrid(id="grid")
        self._image: ImageView | ComparisonView
        view = ImageView if len(self._names) == 1 else ComparisonView
        self._image = view(self._make_picture, id="image")
        self._views = ContentSwitcher(initial="grid", id="views")
        yield self._title
        yield Static(f"loading {' and '.join(self._names)} …", id="loading", markup=False)
        with Horizontal(id="body"):
            yield self._list
            with Vertical():
                yield self._heading
                with self._views:
                    yield self._grid
                    yield self._image
        yield Footer(compact=True, show_command_palette=False)

    # --- loading ---

    @property
    def is_ready(self) -> bool:
        return bool(self._sets)

    def on_mount(self) -> None:
        self.run_worker(self._read, thread=True, group="reading")

    def _read(self) -> None:
        try:
            loaded = self._load()
        except Exception as error:  # the caller raises it again, after the screen is closed
            self.error = error
            self.call_from_thread(self.exit, 1)
        else:
            self.call_from_thread(self._open, *loaded)

    def _open(self, sets: Sequence[GallerySet], classes: Sequence[int]) -> None:
        from datm_cli.gallery.gallery_set import describe

        self._sets, self._numbers = sets, classes
        self._title.update(describe(sets))
        self.screen_stack[0].add_class("-loaded")
        self._list.fill(sets, classes)
        self._show_grid(None)
        self._grid.focus()
        if all(one.has_start for one in sets):
            self.run_worker(self._compute_changes, thread=True, group="changes")

    def _compute_changes(self) -> None:
        """Compute how images changed, class by class, first of the class that is shown."""
        worker, waiting = get_current_worker(), list(self._numbers)
        while waiting and not worker.is_cancelled:
            number = self._class if self._class in waiting else waiting[0]
            waiting.remove(number)
            for one in self._sets:
                one.compute_changes(number)
            if not worker.is_cancelled:
                self.call_from_thread(self._show_changes, number, len(waiting))

    def _show_changes(self, number: int, waiting: int) -> None:
        if number == self._class or waiting % 16 == 0:
            self._list.update_values()
        if number == self._class or waiting == 0:
            self._refresh_view()

    # --- views ---

    @property
    def _shows_image(self) -> bool:
        return self._views.current == "image"

    def _show_grid(self, number: int | None, picked: int = 0) -> None:
        """Show the images of a class, or one image of each."""
        self._class = number
        if number is None:
            self._images = class_grid(self._sets, self._numbers, self._order, clip=self.clip)
        else:
            self._images = image_grid(self._sets, number, self._order, clip=self.clip)
        self._grid.show(self._images, picked)
        self._list.pick(number)
        self._switch_to("grid")

    def _show_image(self, item: int) -> None:
        assert self._images is not None
        self._item = item
        images = self._images.items[item]
        if isinstance(self._image, ComparisonView):
            self._image.show(self._sets, images, self._class_and_number(item)[0], clip=self.clip)
        elif images[0] is not None:
            self._image.show(self._sets[0], images[0], clip=self.clip)
        self._switch_to("image")

    def _switch_to(self, view: str) -> None:
        if self._views.current != view:
            self._views.current = view
            self.screen_stack[0].set_class(view == "image", "-image")
            self.screen_stack[0].set_focus(self._views.get_child_by_id(view))
        self._update_heading()

    def _refresh_view(self) -> None:
        """Show the same again, after something changed."""
        if self._shows_image:
            self._show_image(self._item)
        else:
            self._show_grid(self._class, self._grid.picked)

    def _class_and_number(self, item: int) -> tuple[int, int]:
        """The class of an item of the grid, and its number within the class."""
        assert self._images is not None
        pairs = zip(self._sets, self._images.items[item], strict=True)
        return next(divmod(image, one.ipc) for one, image in pairs if image is not None)

    def _update_heading(self) -> None:
        facts = [self._order.value, "clipped at 2.5σ" if self.clip else "not clipped"]
        page, pages = self._grid.pages
        if self._shows_image:
            facts.append(f"{self._item + 1} of {self._grid.count}")
        elif pages > 1:
            facts.append(f"page {page} of {pages}")
        self._heading.show([ALL, *self._path], facts)
        self.refresh_bindings()

    @property
    def _path(self) -> list[str]:
        """The names of the class and of the image that are shown."""
        names = self._sets[0].class_names
        if self._shows_image:
            number, index = self._class_and_number(self._item)
            return [names[number], f"#{index}"] if self._has_several else [names[number]]
        return [] if self._class is None else [names[self._class]]

    @property
    def _has_several(self) -> bool:
        """Whether a class has several images."""
        return max(one.ipc for one in self._sets) > 1

    @property
    def file_name_parts(self) -> list[str]:
        return [*(one.name for one in self._sets), *self._path]

    # --- keys and messages ---

    @on(OptionList.OptionHighlighted, "#classes")
    def _show_highlighted_class(self, event: OptionList.OptionHighlighted) -> None:
        number = self._list.number_of(event.option_index)
        if number != self._class:
            self._show_grid(number)

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        if self.is_ready and not isinstance(event, PictureGrid.Opened):
            self._update_heading()

    def on_picture_grid_opened(self, event: PictureGrid.Opened) -> None:
        if self._class is None and self._has_several:
            self._show_grid(self._class_and_number(event.item)[0])
        else:
            self._show_image(event.item)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "order" | "clip" | "save" | "class" if not self.is_ready:
                return False
            case "up":
                return self.is_ready and (self._shows_image or self._class is not None)
            case "class":
                return not self._shows_image
        return super().check_action(action, parameters)

    def action_up(self) -> None:
        if self._shows_image:
            self._show_grid(self._class, self._item)
        elif self._class is not None:
            self._show_grid(None, self._numbers.index(self._class))

    def action_step(self, by: int) -> None:
        if 0 <= self._item + by < self._grid.count:
            self._show_image(self._item + by)

    def action_class(self, by: int) -> None:
        choices: list[int | None] = [None, *self._numbers]
        position = choices.index(self._class) + by
        if 0 <= position < len(choices):
            self._show_grid(choices[position])

    def action_order(self) -> None:
        orders = list(Order) if self._sets[0].has_start else [Order.NUMBER, Order.ENTROPY]
        self._order = orders[(orders.index(self._order) + 1) % len(orders)]
        self._show_grid(self._class)

    def action_clip(self) -> None:
        self.clip = not self.clip
        self._refresh_view()


class Heading(Widget):
    """A line with the path to what is shown at the left, and facts at the right."""

    _path: Sequence[str] = ()
    _facts: Sequence[str] = ()

    def show(self, path: Sequence[str], facts: Sequence[str]) -> None:
        self._path, self._facts = path, facts
        self.refresh()

    def render(self) -> RenderableType:
        if not self._path:
            return ""
        *above, last = self._path
        path = Text.assemble(*((f"{one} › ", "dim") for one in above), (last, "bold"))
        return heading(path, self._facts, self.size.width, separator=" · ")
