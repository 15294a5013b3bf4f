"""Show a run's events outside the dashboard: bars on a terminal, timed lines elsewhere."""

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

from datm_cli.text.sentences import Activity, activity, iteration_summary, sentence
from datm_engine.formatting import duration
from datm_engine.runs.events import Event, Matched, SkipReason
from datm_engine.runs.state import is_log_event

LINE_SECONDS = 30.0  # between lines of progress


class Nothing:
    """Shows nothing, for --quiet and --json."""

    def __enter__(self) -> Nothing:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def read(self, event: Event) -> None:
        pass


class Lines:
    """Prints a line for each log event, and one of progress every 30 s. No carriage returns."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._began = self._printed = clock()
        self._first: dict[str, tuple[float, int]] = {}  # task → when it was first seen, units done
        self._skip_reasons: set[SkipReason] = set()

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *failure: object) -> None:
        pass

    def read(self, event: Event) -> None:
        now, task = self._clock(), activity(event)
        text = sentence(event) if is_log_event(event, self._skip_reasons) else None
        left = self._time_left(task, now) if task else ""  # each call counts, printed or not
        if task and not text and task.done < task.total and now - self._printed >= LINE_SECONDS:
            text = f"{task.what} {task.done:,}/{task.total:,}{left}"
            text += f": {iteration_summary(event)}" if isinstance(event, Matched) else ""
        if text:
            self._printed = now
            minutes, seconds = divmod(int(now - self._began), 60)
            clock = f"[{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}]"
            self._console.print(f"{clock} {text}", soft_wrap=True, markup=False)

    def _time_left(self, task: Activity, now: float) -> str:
        began, first = self._first.setdefault(task.what, (now, task.done))
        if task.done <= first:
            return ""
        return f", {duration((now - began) / (task.done - first) * (task.total - task.done))} left"


class Bars:
    """Shows a bar for the current task, and prints log events above it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12 if console.width < 100 else 24),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left", table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[remark]}"),  # the column that wraps on a narrow terminal
            console=console,
        )
        self._task: TaskID | None = None
        self._what = ""
        self._skip_reasons: set[SkipReason] = set()

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        failure: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with suppress(OSError):  # the terminal was closed
            self._progress.stop()

    def read(self, event: Event) -> None:
        if is_log_event(event, self._skip_reasons) and (text := sentence(event)):
            self._progress.console.print(text, markup=False)
        task = activity(event)
        if task is None:
            return
        if self._task is None or task.what != self._what:
            if self._task is not None:
                self._progress.remove_task(self._task)
            self._task = self._progress.add_task(task.what, total=task.total, remark="")
            self._what = task.what
        remark = iteration_summary(event) if isinstance(event, Matched) else ""
        self._progress.update(self._task, completed=task.done, total=task.total, remark=remark)


def reader(console: Console, *, silent: bool) -> Nothing | Lines | Bars:
    """The display that fits the console."""
    if silent:
        return Nothing()
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
