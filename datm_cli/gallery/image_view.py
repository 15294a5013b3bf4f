"""One image: as large as it goes, beside its start, what changed, its label and its course."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from numpy.typing import NDArray
from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.widget import Widget
from textual.widgets import Static

from datm_cli.gallery.difference import signed_difference
from datm_cli.gallery.label_bars import LabelBars
from datm_cli.screen.picture_grid import PictureGrid
from datm_cli.screen.picture_wall import Caption
from datm_cli.screen.picture_widgets import Picture
from datm_cli.text.escapes import printable
from datm_engine.errors import FileError

if TYPE_CHECKING:
    from datm_cli.gallery.gallery_set import Collection
    from datm_cli.gallery.image_history import Moment

Pixels = NDArray[np.uint8]

NARROWEST_LABEL = 26  # columns
STRIP_ROWS = 7  # a row of small pictures with their captions
_ROOM_FOR_STRIP = 30  # rows; in fewer the course is told in a line


class Course:
    """An image's moments, to hang in a strip."""

    beside = 1

    def __init__(self, moments: Sequence[Moment], of_the_set: Pixels) -> None:
        self.moments = moments
        self._of_the_set = of_the_set

    def __len__(self) -> int:
        return len(self.moments)

    def picture(self, place: int) -> Pixels | None:
        """None for a sample that has been taken away: a run may go on from before it."""
        moment = self.moments[place]
        try:
            return self._of_the_set if moment.is_of_the_set else moment.picture()
        except FileError:
            return None

    def pictures(self, places: range) -> list[list[Pixels | None]]:
        return [[self.picture(place)] for place in places]

    def caption(self, place: int) -> Caption:
        moment = self.moments[place]
        what = "  set" if moment.is_of_the_set else "  start" if moment.iteration == 0 else ""
        return Caption(f"{moment.iteration:,}{what}")


class ImageView(Widget, can_focus=True):
    """← and → walk through the saved iterations, ↑ and ↓ through the images."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left", "moment(-1)", "history", key_display="←→"),
        Binding("right", "moment(1)", show=False),
        Binding("home", "first", "the first iteration", show=False),
        Binding("end", "last", "the last iteration", show=False),
        Binding("down,n", "app.step(1)", "image", key_display="↑↓"),
        Binding("up,p", "app.step(-1)", show=False),
    ]
    DEFAULT_CSS = """
    ImageView { width: 1fr; height: 1fr; padding: 0 1; layout: vertical; }
    ImageView Static { height: 1; }
    ImageView .caption { color: $text-muted; }
    ImageView #above { height: 1fr; }
    ImageView #large, ImageView #small { width: auto; margin-right: 2; }
    ImageView #facts { height: auto; margin-bottom: 1; }
    ImageView #difference-caption { height: 2; }
    ImageView #strip { height: 7; }
    ImageView #strip > .grid--picked { color: $accent; }
    ImageView #course { color: $text-muted; text-wrap: nowrap; text-overflow: ellipsis; }
    """

    def __init__(self, make_picture: Callable[..., Picture], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._make = make_picture
        self._collection: Collection | None = None
        self._index = 0
        self._clip = True
        self._moment = 0
        self._course: Course | None = None

    def compose(self) -> ComposeResult:
        with Horizontal(id="above"):
            with Vertical(id="large"):
                yield self._make(id="now")
                yield Static(id="now-caption", classes="caption", markup=False)
            with Vertical(id="small"):
                yield self._make(id="start")
                yield Static(id="start-caption", classes="caption", markup=False)
                yield self._make(id="difference")
                yield Static(id="difference-caption", classes="caption")
            with Vertical(id="label"):
                yield Static(id="facts")
                yield LabelBars()
        yield Static(id="course", markup=False)
        strip = PictureGrid(id="strip")
        strip.can_focus = False
        yield strip

    def show(self, collection: Collection, index: int, *, clip: bool) -> None:
        """An image of a set, at the iteration the set was taken."""
        same = (collection, index) == (self._collection, self._index)
        self._collection, self._index, self._clip = collection, index, clip
        moments = collection.moments(index)
        self._course = Course(moments, collection.pictures([index], clip=clip)[0])
        if not same:
            self._moment = next(k for k, one in enumerate(moments) if one.is_of_the_set)
        self.query_one("#strip", PictureGrid).hang(self._course, self._moment)
        own = collection.class_of(index)
        self.query_one(LabelBars).show(collection.class_names, collection.shares(index), own)
        self._arrange()
        self._tell()

    def on_resize(self) -> None:
        self._arrange()

    def action_moment(self, by: int) -> None:
        self._turn_to(self._moment + by)

    def action_first(self) -> None:
        self._turn_to(0)

    def action_last(self) -> None:
        self._turn_to(len(self._course or ()) - 1)

    def on_picture_grid_picked(self, event: PictureGrid.Picked) -> None:
        event.stop()
        self._turn_to(event.place)

    def _turn_to(self, moment: int) -> None:
        if self._course and 0 <= moment < len(self._course) and moment != self._moment:
            self._moment = moment
            self.query_one("#strip", PictureGrid).pick(moment)
            self._tell()

    def _arrange(self) -> None:
        """Give every part its size: the large picture what height and width leave, the start and
        the difference half of it, the label the rest."""
        if self._collection is None or not self.size.area:
            return
        has_start = self._collection.has_start
        width, height = self.size
        strip = height >= _ROOM_FOR_STRIP and len(self._course or ()) > 1
        self.query_one("#strip").display = strip
        above = height - 1 - (STRIP_ROWS if strip else 0)
        left = width - NARROWEST_LABEL - (4 if has_start else 2)
        side = max(2, min(above - 1, left // (3 if has_start else 2)))
        half = min(side // 2, (above - 3) // 2)
        self.query_one("#small").display = has_start
        for name, rows in (("now", side), ("start", half), ("difference", half)):
            picture = self.query_one(f"#{name}", Picture)
            picture.styles.width, picture.styles.height = 2 * rows, rows
            self.query_one(f"#{name}-caption").styles.width = 2 * rows

    def _tell(self) -> None:
        one, course = self._collection, self._course
        assert one is not None
        assert course is not None
        moment = course.moments[self._moment]
        picture = course.picture(self._moment)
        self.query_one("#now", Picture).show(picture)
        self.query_one("#now-caption", Static).update(_taken(moment, picture is not None))
        start = one.start(self._index)
        if start is not None:
            self._compare(self._clipped() if moment.is_of_the_set else picture, start)
        self.query_one("#facts", Static).update(self._facts())
        self.query_one("#course", Static).update(self._course_line())

    def _clipped(self) -> Pixels:
        """The start was clipped when it was saved: only clipped pictures differ from it fairly."""
        assert self._collection is not None
        return self._collection.pictures([self._index])[0]

    def _compare(self, now: Pixels | None, start: Pixels) -> None:
        self.query_one("#start", Picture).show(start)
        self.query_one("#start-caption", Static).update("start")
        if now is None:
            self.query_one("#difference", Picture).show(None)
            self.query_one("#difference-caption", Static).update("")
            return
        colours, reach = signed_difference(now, start)
        self.query_one("#difference", Picture).show(colours)
        told = f"difference ±{reach:.2f}\n[$primary]darker[/] · [$accent]lighter[/]"
        caption = self.query_one("#difference-caption", Static)
        caption.update(told if reach else "no difference")

    def _facts(self) -> Text:
        one, index = self._collection, self._index
        assert one is not None
        entropy = one.entropy[index]
        change = one.change(index)
        facts = Text.assemble(
            (one.title(index), "bold"), f"  of {one.ipc}\n" if one.ipc > 1 else "\n"
        )
        facts.append(f"entropy  {entropy:.2f} nats  {entropy / one.most_entropy:.0%}")
        if one.has_start:
            facts.append("\nchange   " + ("…" if change is None else f"{change:.3f} rms"))
        return facts

    def _course_line(self) -> str:
        one, course = self._collection, self._course
        assert one is not None
        assert course is not None
        if one.samples is None:
            return "A file has no history: only runs save samples."
        line = f"history  {self._moment + 1} of {len(course)}  ← →"
        if not one.is_sampled(self._index):
            line = "No sample shows this image: runs save a few of each class."
        unreadable = one.samples.unreadable
        return line + (
            f"   {len(unreadable)} cannot be read: {printable(unreadable[0])}" if unreadable else ""
        )


def _taken(moment: Moment, is_there: bool) -> str:
    if not is_there:
        return f"iteration {moment.iteration:,} cannot be read any more"
    what = "the set" if moment.is_of_the_set else "a sample" if moment.iteration else "start"
    return f"{what}, iteration {moment.iteration:,}"
