"""Show a run's events outside the dashboard: bars on a terminal, timed lines elsewhere."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, suppress

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from datm_cli.text.sentences import activity, iteration_summary, sentence
from datm_engine.formatting import duration
from datm_engine.runs.events import Event, Matched, SkipReason, WaitBegan
from datm_engine.runs.state import is_log_event

LINE_SECONDS = 30.0  # between lines of progress


class Nothing(AbstractContextManager["Nothing"]):
    """Shows nothing, for --quiet."""

    def __exit__(self, *failure: object) -> None:
        pass

    def read(self, event: Event) -> None:
        pass


class Lines(AbstractContextManager["Lines"]):
    """Prints a line for each log event and each wait, and one of progress every 30 s, during a wait
    too. No carriage returns."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console, self._clock = console, clock
        self._began = self._printed = clock()
        self._first: dict[str, tuple[float, int]] = {}  # task → when it was first seen, units done
        self._skip_reasons: set[SkipReason] = set()
        self._wait: tuple[str, float] | None = None  # what for, since when
        self._lock, self._over = threading.Lock(), threading.Event()

    def __enter__(self) -> Lines:
        threading.Thread(target=self._watch, name="waits", daemon=True).start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()

    def _watch(self) -> None:
        while not self._over.wait(1.0):
            with suppress(OSError):  # the pipe was closed
                self.report_wait()

    def report_wait(self) -> None:
        """Print a line if a wait lasts and nothing was printed for a while."""
        with self._lock:
            now = self._clock()
            if self._wait is not None and now - self._printed >= LINE_SECONDS:
                what, began = self._wait
                self._print(f"{what}: {duration(now - began)} so far", now)

    def read(self, event: Event) -> None:
        with self._lock:
            self._read(event)

    def _read(self, event: Event) -> None:
        now, task = self._clock(), activity(event)
        text = sentence(event) if is_log_event(event, self._skip_reasons) else None
        self._wait = None
        if task and isinstance(event, WaitBegan):
            self._wait, text = (task.what, now), f"{task.what} …"
        elif task:
            began, first = self._first.setdefault(task.what, (now, task.done))
            if not text and task.done < task.total and now - self._printed >= LINE_SECONDS:
                text = f"{task.what} {task.done:,}/{task.total:,}"
                if task.done > first:
                    left = (now - began) / (task.done - first) * (task.total - task.done)
                    text += f", {duration(left)} left"
                text += f": {iteration_summary(event)}" if isinstance(event, Matched) else ""
        if text:
            self._print(text, now)

    def _print(self, text: str, now: float) -> None:
        self._printed = now
        minutes, seconds = divmod(int(now - self._began), 60)
        clock = f"[{minutes // 60:02d}:{minutes % 60:02d}:{seconds:02d}]"
        self._console.print(f"{clock} {text}", soft_wrap=True, markup=False)


class _Count(MofNCompleteColumn):
    """ "12/50"; nothing for a wait, which counts nothing."""

    def render(self, task: Task) -> Text:
        return Text() if task.total is None else super().render(task)


class _Clock(TimeRemainingColumn):
    """The time left, or of a wait the time so far."""

    def render(self, task: Task) -> Text:
        if task.total is not None:
            return super().render(task).append(" left")
        return Text(f"{duration(task.elapsed or 0)} so far")


class Bars:
    """Shows a bar for the current task, and prints log events above it."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True)),
            BarColumn(bar_width=12 if console.width < 100 else 24),
            _Count(table_column=Column(no_wrap=True)),
            _Clock(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[remark]}"),  # the column that wraps on a narrow terminal
            console=console,
        )
        self._skip_reasons: set[SkipReason] = set()
        self._is_waiting = False

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *failure: object) -> None:
        with suppress(OSError):  # the terminal was closed
            self._progress.stop()

    def read(self, event: Event) -> None:
        if self._is_waiting:  # any event ends a wait
            self._remove_tasks()
            self._progress.refresh()  # before a line is printed above what is shown
        self._is_waiting = isinstance(event, WaitBegan)
        if is_log_event(event, self._skip_reasons) and (text := sentence(event)):
            self._progress.console.print(text, markup=False)
        task = activity(event)
        if task is None:
            return
        total = task.total or None
        shown = self._progress.tasks  # one, or none before the first task
        if not shown or task.what != shown[0].description:
            self._remove_tasks()
            self._progress.add_task(task.what, total=total, remark="")
        remark = iteration_summary(event) if isinstance(event, Matched) else ""
        current = self._progress.task_ids[0]
        self._progress.update(current, completed=task.done, total=total, remark=remark)

    def _remove_tasks(self) -> None:
        for task in self._progress.task_ids:
            self._progress.remove_task(task)


def reader(console: Console, *, silent: bool) -> Nothing | Lines | Bars:
    """The display that fits the console."""
    if silent:
        return Nothing()
    return Bars(console) if console.is_terminal and not console.is_dumb_terminal else Lines(console)
