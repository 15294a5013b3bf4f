"""Where words go: results to stdout, everything else to stderr, with --json one object."""

from __future__ import annotations

import errno
import io
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from datm_cli.text.escapes import json_text, printable, typeable

if TYPE_CHECKING:
    from collections.abc import Iterable
    from types import TracebackType

    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment
    from rich.text import Text

    from datm_engine.runs.events import Evaluated


class Unwritable(OSError):
    """Standard output cannot be written, and not because nobody reads it."""

    def __str__(self) -> str:
        return f"standard output cannot be written: {self.strerror}"


class _Stdout(io.FileIO):
    """Standard output whose problems are not taken for those of another file."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as problem:
            if problem.errno in (errno.EPIPE, errno.EIO):  # nobody reads it any more
                raise
            raise Unwritable(problem.errno, problem.strerror) from None


def discard_stdout() -> None:
    """Let what is still buffered for standard output be written to nothing at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def flush_or_discard() -> None:
    """Write what is buffered for standard output, as far as that is possible."""
    try:
        sys.stdout.flush()
    except OSError:
        discard_stdout()


@contextmanager
def kept(what: str, look: str) -> Iterator[None]:
    """Raises DatmError where the results within cannot be printed: `what` is kept all the same,
    and `look` is the command that shows it."""
    from datm_engine.errors import DatmError

    try:
        yield
        sys.stdout.flush()
    except Unwritable as problem:
        raise DatmError(f"{problem}; {what}", look) from None


def print_written(what: str, path: object, facts: dict[str, Any], *, as_json: bool) -> None:
    """Print the path that was written, or `facts` as JSON. `what`: such as "the report is in"."""
    from datm_engine.hints import command

    with kept(f"{what} {path}", command("ls", "-l", path)):
        if as_json:
            print_json(facts)
        else:
            print_line(path)


def have_streams() -> None:
    """Open the standard streams that are closed, onto nothing: otherwise the next file that is
    opened takes the number of one, and what is meant for a terminal is written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))
    before = sys.stdout
    if before is sys.__stdout__ and isinstance(before, io.TextIOWrapper):
        sys.stdout = io.TextIOWrapper(
            io.BufferedWriter(_Stdout(before.fileno(), "w", closefd=False)),
            encoding=before.encoding,
            errors=before.errors,
            line_buffering=before.line_buffering,
            write_through=before.write_through,
        )


def results() -> Console:
    """The console for results, on stdout."""
    return _console(stderr=False)


def remarks() -> Console:
    """The console for everything else, on stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console
    from rich.segment import Segment

    class Plain(Console):
        """Prints text from outside as text: no markup, no emoji codes, no control characters."""

        def render_str(self, text: str, **how: Any) -> Text:
            """Before Rich drops some control characters and lays out what is left."""
            return super().render_str(printable(text, lines=True), **how)

        def render(
            self, renderable: RenderableType, options: ConsoleOptions | None = None
        ) -> Iterable[Segment]:
            """Whatever a renderable has put into its segments itself."""
            for segment in super().render(renderable, options):
                if segment.control or segment.text.isprintable():
                    yield segment
                else:
                    yield Segment(printable(segment.text, lines=True), segment.style)

        def print(self, *objects: Any, crop: bool = False, **how: Any) -> None:
            """A line that is longer than the screen, as of a table with a long name, is kept."""
            super().print(*objects, crop=crop, **how)

        def on_broken_pipe(self) -> None:
            """Rich would end the process here; whether it ends is for its caller to say."""
            raise BrokenPipeError

    return Plain(stderr=stderr, highlight=False, markup=False, emoji=False)


def print_parts(parts: Iterable[RenderableType]) -> None:
    """Print results with a blank line between them."""
    console = results()
    for number, part in enumerate(parts):
        if number:
            console.print()
        console.print(part)


def remark(text: object) -> None:
    """A sentence on one line of stderr, however long it is; a command in it can be typed."""
    remarks().print(typeable(str(text)), soft_wrap=True)


def print_json(value: Any) -> None:
    print(json_text(value), flush=True)


def print_line(text: object, *, stderr: bool = False) -> None:
    """A path or a sentence on a line of its own."""
    print(printable(text), file=sys.stderr if stderr else sys.stdout)


def row(evaluated: Evaluated) -> dict[str, Any]:
    """What `--json` says of a row of accuracies, in percent."""
    return {
        "set": evaluated.set,
        "network": evaluated.network,
        "accuracy_mean": round(evaluated.accuracy_mean, 4),
        "accuracy_std": round(evaluated.accuracy_std, 4),
        "repeats": evaluated.repeats,
        "images": evaluated.images,
    }


def print_error(message: str, hint: str, as_json: bool) -> None:
    """What is wrong, and the next command to type: two lines, or one JSON object.

    Where standard output cannot take that object, it is two lines all the same.
    """
    with suppress(OSError):  # a closed terminal shows no errors
        if as_json:
            try:
                print_json({"error": {"message": message, "hint": hint}})
                return
            except Unwritable:
                discard_stdout()
        print_line("error: " + " ".join(printable(message, lines=True).split()), stderr=True)
        print_line("hint: " + typeable(hint), stderr=True)


def print_traceback(
    kind: type[BaseException], problem: BaseException, trace: TracebackType | None
) -> None:
    """As Python prints one, which quotes names and content of files."""
    text = "".join(traceback.format_exception(kind, problem, trace))
    print(printable(text, lines=True), end="", file=sys.stderr)
