"""Find image files below a folder. Files of operating systems and tools are skipped."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from datm_engine.data.decoding.image_file import EXTENSIONS, HEIC_EXTENSIONS
from datm_engine.formatting import plural
from datm_engine.hints import command
from datm_engine.optional_imports import is_installed

# Compared in lower case. Names that begin with a dot are skipped as well.
SYSTEM_FOLDERS = frozenset((
    "@eadir", "@recycle", "#recycle", "#snapshot", "$recycle.bin", "__macosx", "__pycache__",
    "lost+found", "system volume information",
))  # fmt: skip
# Never images, and common beside them: not reported.
_SIDECARS = frozenset((
    ".csv", ".db", ".html", ".ini", ".json", ".jsonl", ".log", ".md", ".toml", ".tsv", ".txt",
    ".xml", ".yaml", ".yml",
))  # fmt: skip
HEIC_HINT = command("pip", "install", "datm[heic]")


class Scanner:
    """Finds image files, and counts the others by extension in `skipped`."""

    def __init__(self) -> None:
        self.skipped: Counter[str] = Counter()
        self._heic = is_installed("pillow_heif")

    def images_below(self, folder: Path) -> Iterator[Path]:
        """Yield images at any depth, in a fixed order; links to folders are not followed."""

        def stop(problem: OSError) -> None:
            raise problem

        for parent, below, names in os.walk(folder, onerror=stop):
            below[:] = sorted(name for name in below if not is_system(name))
            for name in sorted(names):
                if self._is_image(name):
                    yield Path(parent, name)

    def images_in(self, folder: Path) -> list[Path]:
        """Return images directly in the folder."""
        paths = [path for path in sorted(folder.iterdir()) if not path.is_dir()]
        return [path for path in paths if self._is_image(path.name)]

    def note(self, root: Path) -> tuple[str, ...]:
        """Return the note on skipped files, if there are any."""
        if not self.skipped:
            return ()
        kinds = [
            f"{count:,} {kind}" + (f" ({HEIC_HINT} reads them)" if kind in HEIC_EXTENSIONS else "")
            for kind, count in sorted(self.skipped.items(), key=lambda item: (-item[1], item[0]))
        ]
        total = self.skipped.total()
        return (f"{plural(total, 'file')} in {root} skipped: {', '.join(kinds)}",)

    def _is_image(self, name: str) -> bool:
        if name.startswith("."):
            return False
        kind = os.path.splitext(name)[1].lower()
        if kind in EXTENSIONS or (self._heic and kind in HEIC_EXTENSIONS):
            return True
        if kind not in _SIDECARS:
            self.skipped[kind or "without an extension"] += 1
        return False


def folders_in(folder: Path) -> list[Path]:
    """Return sub-folders in the order of their names."""
    entries = [path for path in folder.iterdir() if not is_system(path.name)]
    return sorted(path for path in entries if path.is_dir())


def is_system(name: str) -> bool:
    """Return whether a folder of this name belongs to an operating system or a tool."""
    return name.startswith(".") or name.lower() in SYSTEM_FOLDERS


def readable_name(name: str) -> str:
    """Return a file's name as text, with replacements for bytes that are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")
