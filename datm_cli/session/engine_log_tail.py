"""What an engine printed before it was gone, of a run that broke."""

from __future__ import annotations

import os
import re
from pathlib import Path

LOG_TAIL = 20  # lines of the engine's log that are shown


def last_words(path: Path) -> list[str]:
    """What the engine printed after its last line of progress: why it broke, if it could say."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 20_000))
            lines = file.read().decode(errors="replace").split("\n")
    except OSError:  # its words went to a terminal, or are gone with the run
        return []
    of_progress = [place for place, line in enumerate(lines) if re.match(r"\[\d\d:\d\d:", line)]
    after = lines[of_progress[-1] + 1 :] if of_progress else lines
    return [line for line in after if line.strip()][-LOG_TAIL:]
