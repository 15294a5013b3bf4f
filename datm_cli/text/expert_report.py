"""What experts know after every epoch and where in it the window stands, as `datm experts
--inspect` tells it: in words, as a table, as plots, as JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from datm_cli.text.escapes import printable
from datm_cli.text.plots import Curve, Curves, Span
from datm_engine.experts.learning_curves import Course
from datm_engine.formatting import number, plural
from datm_engine.settings.config import Config

UNKNOWN = "–"
LINES = {"training": "t", "held out": "o", "easy": "e", "hard": "h"}  # whose, and its letter


@dataclass(frozen=True)
class Knowledge:
    """The experts in `folder`, of which `ready` are on disk, and what they know."""

    config: Config
    folder: str
    ready: int
    course: Course

    @property
    def first(self) -> int:
        """T⁻, the first epoch that is matched."""
        return self.config.distill.min_start_epoch

    @property
    def last_start(self) -> int:
        """T⁺ − 1."""
        return self.config.distill.max_start_epoch - 1

    @property
    def last(self) -> int:
        """The last epoch that is matched, T⁺ − 1 + M."""
        return self.config.epochs_needed

    @property
    def matched(self) -> Span:
        """From the first start to the last end."""
        return self.first, self.last, f"window: epochs {self.first}–{self.last}"

    @property
    def starts(self) -> Span:
        return self.first, self.last_start, f"window: starts {self.first}–{self.last_start}"

    @property
    def accuracies(self) -> dict[str, tuple[float, ...]]:
        """In percent, by whom they are of; [E + 1] each."""
        course = self.course
        every = (course.accuracy, course.held_out, course.easy, course.hard)
        return {name: of for name, of in zip(LINES, every, strict=True) if of is not None}

    @property
    def facts(self) -> list[tuple[str, str]]:
        """What was looked at."""
        network, course = self.config.network, self.course
        held_out = "" if course.held_out is None else " and all held-out ones"
        return [
            ("dataset", self.config.dataset.name),
            ("experts", f"{course.experts} measured, {self.ready} on disk: {self.folder}"),
            ("epochs", f"{course.epochs}"),
            (
                "network",
                f"{network.architecture}, width {network.width}, depth {network.depth}, "
                f"{network.norm} norm",
            ),
            ("images", f"{course.images:,} training images{held_out}, without augmentation"),
            ("easy, hard", f"a third of them each, by {course.by} of the same experts"),
            ("window", self._window),
        ]

    @property
    def _window(self) -> str:
        window = self.config.distill
        growth = f"T {window.initial_max_start_epoch}, "
        if window.initial_max_start_epoch == window.max_start_epoch:
            growth = ""
        elif not window.expansion_iterations:
            growth = f"T {window.max_start_epoch} throughout, "
        ends = f"T⁺ {window.max_start_epoch}, M {window.expert_epochs}"
        return f"T⁻ {window.min_start_epoch}, {growth}{ends} (starts are below T⁺)"

    @property
    def words(self) -> str:
        """What the window means for these experts."""
        course, apart = self.course, self.config.distill.expert_epochs
        starts = (
            f"start at epoch {self.first}"
            if self.first == self.last_start
            else f"start at epochs {self.first}–{self.last_start}"
        )
        lengths = course.segments[self.first : self.last_start + 1]
        low, high = short_of(min(lengths)), short_of(max(lengths))
        long = low if low == high else f"{low} to {high}"
        return (
            f"Segments {starts} and end {plural(apart, 'epoch')} later: the first begins where "
            f"experts get {course.accuracy[self.first]:.0f}% of the training images right, the "
            f"last ends, at epoch {self.last}, where they get {course.accuracy[self.last]:.0f}%. "
            f"Of the easy third {course.easy[self.first]:.0f}% are right before and "
            f"{course.easy[self.last]:.0f}% after, of the hard third "
            f"{course.hard[self.first]:.0f}% and {course.hard[self.last]:.0f}%. "
            f"A segment is {long} long."
        )

    @property
    def rows(self) -> list[list[str]]:
        """What the table has: some epochs, those of the window among them."""
        names = {self.first: "T⁻", self.last_start: "T⁺ − 1", self.last: "T⁺ − 1 + M"}
        if self.first == self.last_start:
            names[self.first] = "T⁻ = T⁺ − 1"
        course, rows = self.course, []
        for epoch in shown_epochs(course.epochs, names):
            rows.append(
                [
                    f"{epoch}",
                    short_of(course.loss[epoch]),
                    *(f"{of[epoch]:.1f}" for of in self.accuracies.values()),
                    _at(course.step, epoch),
                    _at(course.segments, epoch),
                    names.get(epoch, ""),
                ]
            )
        return rows

    @property
    def headings(self) -> list[str]:
        return ["epoch", "loss", *self.accuracies, "step", "segment", ""]

    def as_json(self) -> dict[str, Any]:
        window = self.config.distill
        return {
            "folder": self.folder,
            "dataset": self.config.dataset.name,
            "network": self.config.network.model_dump(),
            "experts": self.ready,
            "epochs": self.course.epochs,
            "window": {
                "min_start_epoch": window.min_start_epoch,
                "initial_max_start_epoch": window.initial_max_start_epoch,
                "max_start_epoch": window.max_start_epoch,
                "expansion_iterations": window.expansion_iterations,
                "expert_epochs": window.expert_epochs,
                "last_epoch": self.last,
            },
            "words": self.words,
            "course": self.course.facts(),
        }


def printed(knowledge: Knowledge) -> Iterator[RenderableType]:
    """All of it, in the order it is read."""
    facts = Table.grid(padding=(0, 2, 0, 0))
    facts.add_column(style="bold", no_wrap=True)
    facts.add_column(overflow="fold")
    for name, value in knowledge.facts:
        facts.add_row(name, printable(value))
    yield facts
    yield ""
    yield Text(knowledge.words)
    yield ""
    yield _table(knowledge)
    yield ""
    course, epochs = knowledge.course, range(knowledge.course.epochs + 1)
    told = ", ".join(f"{LINES[name]} {name}" for name in knowledge.accuracies)
    yield Curves(
        f"% right after each epoch: {told}",
        [(LINES[name], epochs, of) for name, of in knowledge.accuracies.items()],
        span=knowledge.matched,
    )
    yield ""
    yield Curve(
        f"length of the segment over {plural(course.expert_epochs, 'epoch')} from each",
        range(len(course.segments)),
        course.segments,
        smooth=False,
        x_range=(0, course.epochs),
        span=knowledge.starts,
    )


def _table(knowledge: Knowledge) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for heading in knowledge.headings[:-1]:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in knowledge.rows:
        table.add_row(*row, style="bold" if row[-1] else "")
    return table


def shown_epochs(epochs: int, besides: Sequence[int] | dict[int, str] = ()) -> list[int]:
    """0, 1, 2, 5, 10, 20, 50 and so on up to the last of `epochs`, and those `besides`."""
    some = {factor * 10**power for power in range(len(str(epochs))) for factor in (1, 2, 5)}
    return sorted({0, epochs, *besides, *(epoch for epoch in some if epoch <= epochs)})


def short_of(value: float) -> str:
    """A length or a loss as tables have it: three digits."""
    return number(float(f"{value:.3g}"))


def _at(values: Sequence[float], epoch: int) -> str:
    return short_of(values[epoch]) if epoch < len(values) else UNKNOWN
