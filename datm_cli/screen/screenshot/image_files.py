"""Write a captured screen to a file, and find a free name for it."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

from datm_cli.screen.screenshot.screen_cells import ScreenCells
from datm_engine.errors import ConfigError, Setting
from datm_engine.files import replacing

FORMATS = (".svg", ".png")
MOST_BYTES = 200  # of a name; file systems allow 255


def save(cells: ScreenCells, path: Path) -> None:
    """Write a .svg or .png file.

    Raises:
        ConfigError: `path` has another suffix.
        FileError: the file cannot be written.
    """
    suffix = path.suffix.lower()
    if suffix not in FORMATS:
        raise ConfigError(
            f"{path}: a screen is saved as {' or '.join(FORMATS)}",
            Setting("out", path.with_suffix(".svg")),
        )
    if suffix == ".svg":
        from datm_cli.screen.screenshot.svg import to_svg

        content = to_svg(cells).encode()
    else:
        from datm_cli.screen.screenshot.png import to_png

        encoded = io.BytesIO()
        to_png(cells).save(encoded, "PNG", optimize=True)
        content = encoded.getvalue()
    with replacing(path) as temporary:
        temporary.write_bytes(content)


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
