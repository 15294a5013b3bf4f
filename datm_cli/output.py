"""Where words go: results to stdout, everything else to stderr, with --json one object."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def results() -> Console:
    """The console for results, on stdout."""
    from rich.console import Console

    return Console(highlight=False)


def remarks() -> Console:
    """The console for everything else, on stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, allow_nan=False))


def tell_error(message: str, hint: str, as_json: bool) -> None:
    """What is wrong, and the next command to type: two lines, or one JSON object."""
    if as_json:
        print_json({"error": {"message": message, "hint": hint}})
        return
    print("error: " + " ".join(message.split()), file=sys.stderr)
    print(f"hint: {hint}", file=sys.stderr)
