"""Write a captured screen to a file, and find a free name for it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from datm_cli.screen.screenshot.screen_cells import ScreenCells
from datm_engine.files import replacing

MOST_BYTES = 200  # of a name; file systems allow 255


def save(cells: ScreenCells, path: Path) -> None:
    """Write an .svg or a .png file. Raises FileError if it cannot be written."""
    # Imported here, because a screen is rarely saved.
    from datm_cli.screen.screenshot.png import to_png
    from datm_cli.screen.screenshot.svg import to_svg

    with replacing(path) as temporary:
        if path.suffix.lower() == ".svg":
            temporary.write_text(to_svg(cells), encoding="utf-8")
        else:
            to_png(cells).save(temporary, "PNG", optimize=True)


def free_path(folder: Path, parts: Sequence[str], kind: str) -> Path:
    """A path in `folder` made of `parts`, with a number if the name is taken."""
    stems = [re.sub(r"[^\w.+-]+", "-", Path(part).stem).strip("-.") for part in parts]
    stem = "-".join(filter(None, stems)) or "datm"
    stem = stem.encode()[:MOST_BYTES].decode(errors="ignore")  # drops half a character at the end
    path, number = folder / f"{stem}.{kind}", 1
    while path.exists():
        number += 1
        path = folder / f"{stem}-{number}.{kind}"
    return path
