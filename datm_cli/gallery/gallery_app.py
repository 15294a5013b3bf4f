"""The gallery itself: which view is shown, and what each key does."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widgets import ContentSwitcher, Footer, Static
from textual.worker import get_current_worker

from datm_cli.gallery.class_list import ClassList
from datm_cli.gallery.comparison_view import Comparison
from datm_cli.gallery.heading import Heading
from datm_cli.gallery.image_view import ImageView
from datm_cli.screen.full_screen import FullScreen
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_widgets import Picture
from datm_cli.text.escapes import printable

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import Collection
    from datm_cli.gallery.grid_order import Hanging

Loaded = tuple[Sequence["Collection"], Sequence[int]]


class Gallery(FullScreen):
    """One distilled set, or two beside each other.

    `load` reads them, in a thread, and says which classes are to be shown; `names` is what they
    are called meanwhile. If it raises, the app ends and `problem` is what it raised.
    """

    CSS_PATH = "gallery.tcss"
    TITLE = "datm inspect"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "up", "back", key_display="esc"),
        Binding("o", "order", "order"),
        Binding("c", "clip", "clip"),
        Binding(
            "left_square_bracket", "class(-1)", "the class before", key_display="[", show=False
        ),
        Binding("right_square_bracket", "class(1)", "the next class", key_display="]", show=False),
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
        self.problem: Exception | None = None
        self.clip = clip
        self._names = [printable(name) for name in names]
        self._load = load
        self._make = make_picture
        self._collections: Sequence[Collection] = ()
        self._numbers: Sequence[int] = ()
        self._order = 0
        self._number: int | None = None  # the class in the grid; None: one image of each
        self._place = 0  # in the grid
        self._hanging: Hanging | None = None

    def compose(self) -> ComposeResult:
        # Kept, not asked for: a query would look on the screen that is on top, help for example.
        self._title = Static(" | ".join(self._names), id="title", markup=False)
        self._list, self._heading = ClassList(), Heading(id="heading")
        self._grid = PictureGrid(id="grid")
        alone = len(self._names) == 1
        self._view = ImageView(self._make, id="image") if alone else None
        self._comparison = None if alone else Comparison(self._make, id="image")
        self._switcher = ContentSwitcher(initial="grid", id="views")
        yield self._title
        yield Static(f"loading {' and '.join(self._names)} …", id="loading", markup=False)
        with Horizontal(id="rooms"):
            yield self._list
            with Vertical():
                yield self._heading
                with self._switcher:
                    yield self._grid
                    yield self._view or self._comparison or Static(id="image")
        yield Footer(compact=True, show_command_palette=False)

    @property
    def is_ready(self) -> bool:
        """Whether there is something to see."""
        return bool(self._collections)

    # --- loading ---

    def on_mount(self) -> None:
        self.run_worker(self._read, thread=True, group="reading")

    def _read(self) -> None:
        try:
            loaded = self._load()
        except Exception as problem:  # told by whoever runs the app, once the screen is gone
            self.call_from_thread(self._fail, problem)
        else:
            self.call_from_thread(self._open, *loaded)

    def _fail(self, problem: Exception) -> None:
        self.problem = problem
        self.exit(1)

    def _open(self, collections: Sequence[Collection], classes: Sequence[int]) -> None:
        from datm_cli.gallery.gallery_set import described

        self._collections, self._numbers = collections, classes
        self._title.update(described(collections))
        self.screen_stack[0].add_class("-loaded")
        self._list.fill(collections, classes)
        self._show_grid(None)
        self._grid.focus()
        if all(one.has_start for one in collections):
            self.run_worker(self._work_out_changes, thread=True, group="changes")

    def _work_out_changes(self) -> None:
        """Class by class, the one that is looked at first: it takes a look at every image."""
        worker, waiting = get_current_worker(), list(self._numbers)
        while waiting and not worker.is_cancelled:
            number = self._number if self._number in waiting else waiting[0]
            waiting.remove(number)
            for one in self._collections:
                one.work_out_changes(number)
            if not worker.is_cancelled:
                self.call_from_thread(self._changes_known, number, len(waiting))

    def _changes_known(self, number: int, waiting: int) -> None:
        if number == self._number or waiting % 16 == 0:
            self._list.tell_anew()
        if waiting == 0 or number == self._number:
            self._show_again()

    # --- views ---

    @property
    def _is_of_an_image(self) -> bool:
        return self._switcher.current == "image"

    def _show_grid(self, number: int | None, picked: int = 0) -> None:
        """One image of every class, or the images of a class."""
        from datm_cli.gallery import grid_order

        self._number = number
        order = list(grid_order.Order)[self._order]
        if number is None:
            made = grid_order.one_a_class(self._collections, self._numbers, order, clip=self.clip)
        else:
            made = grid_order.of_class(self._collections, number, order, clip=self.clip)
        self._hanging = made
        self._grid.hang(made, picked)
        self._list.choose(number)
        self._turn_to("grid")
        self._tell()

    def _show_image(self, place: int) -> None:
        assert self._hanging is not None
        self._place = place
        images = self._hanging.places[place]
        if self._view is not None and images[0] is not None:
            self._view.show(self._collections[0], images[0], clip=self.clip)
        elif self._comparison is not None:
            number, _ = self._of_place(place)
            self._comparison.show(self._collections, images, number, clip=self.clip)
        self._turn_to("image")
        self._tell()

    def _turn_to(self, view: str) -> None:
        if self._switcher.current != view:
            self._switcher.current = view
            self.screen_stack[0].set_class(view == "image", "-image")
            self.screen_stack[0].set_focus(self._switcher.get_child_by_id(view))

    def _show_again(self) -> None:
        """The same view, of what has changed."""
        if self._is_of_an_image:
            self._show_image(self._place)
        else:
            self._show_grid(self._number, self._grid.picked)

    def _of_place(self, place: int) -> tuple[int, int]:
        """(class, number within the class) of the image that hangs there."""
        assert self._hanging is not None
        found = zip(self._collections, self._hanging.places[place], strict=True)
        return next((one.class_of(at), at % one.ipc) for one, at in found if at is not None)

    def _tell(self) -> None:
        from datm_cli.gallery.grid_order import Order

        first = self._collections[0]
        where = [] if self._number is None else [first.class_names[self._number]]
        facts = [list(Order)[self._order].value]
        facts.append("clipped at 2.5σ" if self.clip else "not clipped")
        page, pages = self._grid.pages
        if self._is_of_an_image:
            number, index = self._of_place(self._place)
            several = max(one.ipc for one in self._collections) > 1
            where = [first.class_names[number], *([f"#{index}"] if several else [])]
            facts.append(f"{self._place + 1} of {len(self._hanging or ())}")
        elif pages > 1:
            facts.append(f"page {page} of {pages}")
        self._heading.tell(["all classes", *where], facts)
        self.refresh_bindings()

    # --- what happens ---

    def on_class_list_chosen(self, event: ClassList.Chosen) -> None:
        if event.number != self._number:
            self._show_grid(event.number)

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        if self.is_ready and not isinstance(event, PictureGrid.Opened):
            self._tell()

    def on_picture_grid_opened(self, event: PictureGrid.Opened) -> None:
        if self._number is None and max(one.ipc for one in self._collections) > 1:
            self._show_grid(self._of_place(event.place)[0])
        else:
            self._show_image(event.place)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        match action:
            case "order" | "clip" | "save" | "class" if not self.is_ready:
                return False
            case "up":
                return self.is_ready and (self._is_of_an_image or self._number is not None)
            case "class":
                return not self._is_of_an_image
        return super().check_action(action, parameters)

    def action_up(self) -> None:
        if self._is_of_an_image:
            self._show_grid(self._number, self._place)
        elif self._number is not None:
            place = self._numbers.index(self._number)
            self._show_grid(None, place)

    def action_step(self, by: int) -> None:
        if self._hanging is not None and 0 <= self._place + by < len(self._hanging):
            self._show_image(self._place + by)

    def action_class(self, by: int) -> None:
        around: list[int | None] = [None, *self._numbers]
        place = around.index(self._number) + by
        if 0 <= place < len(around):
            self._show_grid(around[place])

    def action_order(self) -> None:
        from datm_cli.gallery.grid_order import Order

        orders = len(Order) if self._collections[0].has_start else len(Order) - 1
        self._order = (self._order + 1) % orders
        self._show_grid(self._number)

    def action_clip(self) -> None:
        self.clip = not self.clip
        self._show_again()

    @property
    def called(self) -> list[str]:
        parts = [one.name for one in self._collections]
        if self._is_of_an_image:
            number, index = self._of_place(self._place)
            parts += [self._collections[0].class_names[number], str(index)]
        elif self._number is not None:
            parts += [self._collections[0].class_names[self._number]]
        return parts
