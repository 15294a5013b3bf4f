"""What a saved view is called."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

MOST_BYTES = 200  # of a name, which file systems limit to 255


def free_path(folder: Path, parts: Sequence[str], kind: str) -> Path:
    """A file's name made of `parts`, with the first number that makes it new if need be."""
    stems = [re.sub(r"[^\w.+-]+", "-", Path(part).stem).strip("-.") for part in parts]
    stem = "-".join(part for part in stems if part) or "datm"
    stem = stem.encode()[:MOST_BYTES].decode(errors="ignore")
    path, number = folder / f"{stem}.{kind}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{kind}"
    return path
