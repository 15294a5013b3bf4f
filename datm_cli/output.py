"""Where words go: results to stdout, everything else to stderr, with --json one object."""

from __future__ import annotations

import json
import os
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from datm_engine.events import Evaluated


def have_streams() -> None:
    """Open the standard streams that are closed, onto nothing: otherwise the next file that is
    opened takes the number of one, and what is meant for a terminal is written into it."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            number = os.open(os.devnull, os.O_RDWR)  # the lowest that is free
            setattr(sys, name, os.fdopen(number, "r" if name == "stdin" else "w"))


def results() -> Console:
    """The console for results, on stdout."""
    return _console(stderr=False)


def remarks() -> Console:
    """The console for everything else, on stderr."""
    return _console(stderr=True)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    class Plain(Console):
        def on_broken_pipe(self) -> None:
            """Rich would end the process here; whether it ends is for its caller to say."""
            raise BrokenPipeError

    return Plain(stderr=stderr, highlight=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


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


def tell_error(message: str, hint: str, as_json: bool) -> None:
    """What is wrong, and the next command to type: two lines, or one JSON object."""
    with suppress(OSError):  # a terminal that has gone hears no errors
        if as_json:
            print_json({"error": {"message": message, "hint": hint}})
            return
        print("error: " + _plain(" ".join(message.split())), file=sys.stderr)
        print("hint: " + _plain(hint), file=sys.stderr)


def _plain(text: str) -> str:
    """Without what would move a terminal's cursor, which a file's content may hold."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
