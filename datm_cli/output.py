"""Where words go: results to stdout, everything else to stderr, with --json one object."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console

    from datm_engine.events import Evaluated


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
    if as_json:
        print_json({"error": {"message": message, "hint": hint}})
        return
    print("error: " + " ".join(message.split()), file=sys.stderr)
    print(f"hint: {hint}", file=sys.stderr)
