"""A run as it goes, without the full screen: bars on a terminal, timed lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column

from datm_cli.text.escapes import printable
from datm_cli.text.sentences import Refusals, progress, sentence
from datm_engine.formatting import duration
from datm_engine.runs import events
from datm_engine.runs.events import Event

LINE_SECONDS = 30.0  # between lines of progress


class Nothing:
    """For --quiet and --json."""

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def read(self, event: Event) -> None:
        pass


class Lines:
    """A line for every fact, and one of progress every 30 s; no carriage returns."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._began = self._told = clock()
        self._first: dict[str, tuple[float, float]] = {}
        self._refusals = Refusals()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def read(self, event: Event) -> None:
        text = sentence(event) or self._refusals.sentence(event)
        done = advance(event)
        if (
            not text
            and done
            and done.done < done.total
            and self._clock() - self._told >= LINE_SECONDS
        ):
            text = f"{done.what} {done.done:,}/{done.total:,}{self._left(done)}"
            text += f": {progress(event)}" if isinstance(event, events.Matched) else ""
        elif done:
            self._left(done)
        if text:
            self._told = self._clock()
            self._console.print(
                f"{_clock_face(self._told - self._began)} {text}", soft_wrap=True, markup=False
            )

    def _left(self, done: Advance) -> str:
        now = self._clock()
        began, first = self._first.setdefault(done.what, (now, done.done))
        if done.done <= first:
            return ""
        return f", {duration((now - began) / (done.done - first) * (done.total - done.done))} left"


class Bars:
    """A bar for what is under way, facts above it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12 if console.width < 100 else 24),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[remark]}"),  # the one that wraps on a narrow terminal
            console=console,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._refusals = Refusals()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # the terminal has gone
            self._progress.stop()

    def read(self, event: Event) -> None:
        if text := sentence(event) or self._refusals.sentence(event):
            self._progress.console.print(text, markup=False)
        if not (done := advance(event)):
            return
        if done.what != self._what:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(done.what, total=done.total, remark="")
            self._what = done.what
        assert self._task is not None
        remark = progress(event) if isinstance(event, events.Matched) else ""
        self._progress.update(self._task, completed=done.done, total=done.total, remark=remark)


class Advance:
    """`done` of `total` of `what`."""

    def __init__(self, what: str, done: int, total: int) -> None:
        self.what, self.done, self.total = printable(what), done, total


def advance(event: Event) -> Advance | None:
    """How far the stage is that an event belongs to, if it says so."""
    match event:
        case events.DatasetProgress():
            return Advance(event.what, event.done, event.total)
        case events.DifficultyProgress():
            return Advance("telling easy images from hard", event.done, event.total)
        case events.ExpertEpoch():
            return Advance(f"expert {event.expert + 1}", event.epoch, event.epochs)
        case events.CourseProgress():
            return Advance("measuring experts", event.done, event.total)
        case events.Matched():
            return Advance("distilling", event.iteration, event.iterations)
        case events.SelectionProgress():
            return Advance(f"choosing images, {event.set}", event.done, event.total)
        case events.EvaluationProgress():
            what = f"{event.set}, {event.network}, {event.repeat + 1}/{event.repeats}"
            return Advance(f"evaluating {what}", event.epoch, event.epochs)
    return None


def _clock_face(seconds: float) -> str:
    minutes, whole = divmod(int(seconds), 60)
    return f"[{minutes // 60:02d}:{minutes % 60:02d}:{whole:02d}]"


def reader(console: Console, *, silent: bool) -> Nothing | Lines | Bars:
    """The one that fits: nothing, bars on a terminal, lines elsewhere."""
    if silent:
        return Nothing()
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
