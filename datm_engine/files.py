"""Writing files so that a reader never sees half of one: beside, flushed, renamed into place."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from datm_engine.errors import FileError


def make_folder(folder: Path, hint: str) -> None:
    """With its parents, if it is not there. Raises FileError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"{folder} cannot be made: {problem.strerror}", hint) from None


def save_text(path: Path, text: str) -> None:
    """Raises FileError; what stood at `path` before then still stands."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


@contextmanager
def replacing(path: Path, failure: type[Exception] = OSError) -> Iterator[Path]:
    """A path beside `path` to write to, renamed into its place at the end.

    An OSError, or a `failure`, becomes a FileError, and what stood at `path` before then
    still stands.
    """
    beside = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        yield beside
        beside.replace(path)
    except (OSError, failure) as problem:
        with suppress(OSError):  # where it cannot be removed, it could not be written either
            beside.unlink(missing_ok=True)
        reason = getattr(problem, "strerror", None) or str(problem)
        raise FileError(f"{path} cannot be written: {reason}", f"df -h {path.parent}") from None
