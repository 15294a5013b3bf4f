"""Writing files so that a reader never sees half of one: beside, flushed, renamed into place."""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from datm_engine.errors import DataError, FileError
from datm_engine.hints import READ_ONLY, command, remedy

# Of a file that is there and may well be whole: for want of rights, memory or descriptors.
_HINDRANCES = {
    errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip


class Unreadable(FileError):
    """Nothing is known to be wrong with a file, but as things are it cannot be read."""


def make_folder(folder: Path) -> None:
    """With its parents, if it is not there. Raises FileError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(
            f"{folder} cannot be made: {problem.strerror}",
            remedy(problem, folder if folder.exists() else folder.parent),
            problem.errno,
        ) from None


def check_writable(folder: Path) -> None:
    """Make the folder if need be. Raises FileError where no file can be made in it."""
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise cannot_write(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


@contextmanager
def or_elsewhere(place: Path, option: str) -> Iterator[None]:
    """Where writing below `place` is not allowed, a FileError that names it, and `option` with
    another place as the hint."""
    try:
        yield
    except FileError as problem:
        if problem.errno not in READ_ONLY:
            raise
        known = OSError(problem.errno, os.strerror(problem.errno))
        wrong = f"{place} cannot be written: {known.strerror}"
        raise FileError(wrong, remedy(known, place, option), problem.errno) from None


def save_text(path: Path, text: str) -> None:
    """Raises FileError; what stood at `path` before then still stands."""
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def parse_json(text: str) -> Any:
    """Raises ValueError for what is no JSON, or is nested deeper than can be read."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


@contextmanager
def replacing(path: Path, failure: type[Exception] = OSError) -> Iterator[Path]:
    """A path beside `path` to write to, renamed into its place at the end.

    An OSError, or a `failure`, becomes a FileError, and what stood at `path` before then
    still stands.
    """
    beside = temporary_path(path)
    try:
        yield beside
        beside.replace(path)
    except (OSError, failure) as problem:
        with suppress(OSError):  # where it cannot be removed, it could not be written either
            beside.unlink(missing_ok=True)
        raise cannot_write(path, problem) from None


def temporary_path(path: Path) -> Path:
    """What is to become `path` while it is being made, under a name that says by whom."""
    name = os.fsdecode(os.fsencode(path.name)[:120])  # a folder's names have at most 255 bytes
    return path.with_name(f".{name}.{os.getpid()}@{platform.node()}.part")


def cannot_write(path: Path, problem: Exception) -> FileError:
    """`problem` as an error that names the file, and what to look at."""
    problem = _as_os_error(problem)
    reason = getattr(problem, "strerror", None) or str(problem)
    known = problem if isinstance(problem, OSError) else OSError(reason)
    place = path if path.is_dir() else path.parent
    wrong = f"{path} cannot be written: {reason}"
    return FileError(wrong, remedy(known, place), known.errno)


def cannot_read(path: Path, problem: object) -> DataError:
    """`problem` as an error that names the file or folder of a dataset."""
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    wrong = f"{path} cannot be read: {reason.splitlines()[0]}"
    return DataError(wrong, command("ls", "-ld" if os.path.isdir(path) else "-l", path))


@contextmanager
def unreadable_as_error(path: Path) -> Iterator[None]:
    """Raises Unreadable where it is not for damage that `path` cannot be read within: without a
    hint, where nothing but to try again is to be done."""
    try:
        yield
    except Exception as problem:
        known = _as_os_error(problem)
        if not (isinstance(known, OSError) and known.errno in _HINDRANCES):
            raise
        shut = known.errno in (errno.EACCES, errno.EPERM)
        hint = command("chmod", "u+r", path) if shut else ""
        raise Unreadable(f"{path} cannot be read now: {known.strerror}", hint) from None


def _as_os_error(problem: Exception) -> Exception:
    """Readers and writers of tensors keep the number in the text of errors of their own."""
    if isinstance(problem, OSError):
        return problem
    if isinstance(problem, FileError) and problem.errno:
        return OSError(problem.errno, os.strerror(problem.errno))
    numbers = (int(number) for number in re.findall(r"\((?:os error )?(\d{1,3})\)", str(problem)))
    meant = next((number for number in numbers if os.strerror(number) in str(problem)), None)
    return problem if meant is None else OSError(meant, os.strerror(meant))


def remove_leftovers(folder: Path) -> None:
    """Remove what `replacing` could not, in processes that were killed on this machine.

    What another machine, or a process that is alive, is writing there stays. Raises FileError.
    """
    for path in folder.glob(".*.part"):
        writer = re.search(r"\.(\d+)@(.*)\.part$", path.name)
        if writer and writer[2] == platform.node() and not _is_alive(int(writer[1])):
            try:
                if path.is_dir():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
            except OSError as problem:
                raise cannot_write(folder, problem) from None


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # somebody else's
    return True
