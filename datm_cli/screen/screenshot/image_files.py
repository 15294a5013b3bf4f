"""Writing a captured screen, in the format that the file's name asks for."""

from __future__ import annotations

import io
from pathlib import Path

from datm_cli.screen.screenshot.screen_cells import Cells
from datm_engine.errors import ConfigError
from datm_engine.files import replacing
from datm_engine.hints import command

KINDS = (".svg", ".png")


def save(cells: Cells, path: Path) -> None:
    """Write beside and rename into place. Raises ConfigError for another ending than .svg or
    .png, FileError if the file cannot be written."""
    kind = path.suffix.lower()
    if kind not in KINDS:
        raise ConfigError(
            f"{path}: a screen is saved as {' or '.join(KINDS)}",
            command("--out", path.with_suffix(".svg")),
        )
    if kind == ".svg":
        from datm_cli.screen.screenshot.svg import to_svg

        content = to_svg(cells).encode()
    else:
        from datm_cli.screen.screenshot.png import to_png

        encoded = io.BytesIO()
        to_png(cells).save(encoded, "PNG", optimize=True)
        content = encoded.getvalue()
    with replacing(path) as beside:
        beside.write_bytes(content)
