"""Write files so that a reader never sees half of one: beside the path, flushed, then renamed.

Errors of the system become a FileError or DataError that names the file, with a command to type.
"""

from __future__ import annotations

import errno
import json
import os
import platform
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from datm_engine.errors import DataError, DatmError, FileError
from datm_engine.hints import READ_ONLY, command, remedy

# Reading fails although the file may be intact: permissions, memory, file descriptors.
_TEMPORARY = {
    errno.EACCES, errno.EPERM, errno.ENOMEM, errno.EMFILE, errno.ENFILE, errno.ESTALE,
}  # fmt: skip


T = TypeVar("T")


class Unreadable(FileError):
    """A file cannot be read for lack of permissions or memory. It may be intact."""


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, if missing. Raises FileError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(
            f"{folder} cannot be created: {problem.strerror}",
            remedy(problem, folder if folder.exists() else folder.parent),
            problem.errno,
        ) from None


def check_writable(folder: Path) -> None:
    """Create a folder, if missing. Raises FileError if no file can be created in it."""
    make_folder(folder)
    if not os.access(folder, os.W_OK | os.X_OK):
        raise cannot_write(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))


@contextmanager
def or_elsewhere(path: Path, argument: str) -> Iterator[None]:
    """If writing below `path` is not allowed, raise a FileError that names it. Its fix is another
    path for `argument`."""
    try:
        yield
    except FileError as problem:
        if problem.errno not in READ_ONLY:
            raise
        raise cannot_write(path, problem, argument) from None


def save_text(path: Path, text: str) -> None:
    """Write a text file. Raises FileError; an earlier file then stays as it is."""
    # Flushed to disk before it is renamed: a crash must not leave an empty file.
    with replacing(path) as beside, beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def parse_json(text: str) -> Any:
    """Raise ValueError for text that is not JSON, or is nested too deep."""
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def validated(model: Callable[..., T], content: Any) -> T:
    """Make an instance of a pydantic class. Raises ValueError that names the first wrong field."""
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")
    try:
        return model(**content)
    except ValidationError as invalid:
        first = invalid.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        wrong = first["msg"].removeprefix("Value error, ")
        raise ValueError(f"{field}: {wrong}" if field else wrong) from None


@contextmanager
def replacing(path: Path, failure: type[Exception] = OSError) -> Iterator[Path]:
    """Yield a path in a folder beside `path` to write to, which is renamed to `path` at the end.

    An OSError, or a `failure`, becomes a FileError; an earlier file then stays as it is.
    """
    # In a folder, because a library may write to a temporary file of its own beside that path: if
    # this process is killed, `remove_leftovers` removes both.
    folder = temporary_path(path)
    try:
        folder.mkdir(exist_ok=True)
        beside = folder / path.name
        yield beside
        beside.replace(path)
    except (OSError, failure) as problem:
        raise cannot_write(path, problem) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def temporary_path(path: Path) -> Path:
    """Where the content of `path` is written first. The name contains the process and the host."""
    name = os.fsdecode(os.fsencode(path.name)[:120])  # names have at most 255 bytes
    return path.with_name(f".{name}.{os.getpid()}@{platform.node()}.part")


def cannot_write(path: Path, problem: Exception, argument: str = "") -> FileError:
    """An error that names the file or folder. Its fix is a command to look at the cause, or another
    path for `argument`."""
    problem = _as_os_error(problem)
    reason = getattr(problem, "strerror", None) or str(problem)
    known = problem if isinstance(problem, OSError) else OSError(reason)
    cause = path if argument or path.is_dir() else path.parent
    wrong = f"{path} cannot be written: {reason}"
    return FileError(wrong, remedy(known, cause, argument), known.errno)


def cannot_read(path: Path, problem: object) -> DataError:
    """An error that names the file or folder of a dataset."""
    reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
    wrong = f"{path} cannot be read: {reason.splitlines()[0]}"
    return DataError(wrong, command("ls", "-ld" if os.path.isdir(path) else "-l", path))


@contextmanager
def damage_as_error(path: Path, kind: str) -> Iterator[None]:
    """Convert whatever a library raises for a damaged file of a dataset to a DataError."""
    try:
        yield
    except (DatmError, MemoryError):
        raise
    except OSError as problem:
        raise cannot_read(path, problem) from None
    except Exception as problem:  # readers raise almost anything for damaged bytes
        reason = (str(problem) or type(problem).__name__).splitlines()[0]
        raise DataError(
            f"{path} is no {kind}, or damaged: {reason}", command("ls", "-l", path)
        ) from None


@contextmanager
def unreadable_as_error(path: Path) -> Iterator[None]:
    """Raise Unreadable if `path` cannot be read for another reason than damage. The fix is empty if
    all that can be done is to try again."""
    try:
        yield
    except Exception as problem:
        known = _as_os_error(problem)
        if not (isinstance(known, OSError) and known.errno in _TEMPORARY):
            raise
        is_forbidden = known.errno in (errno.EACCES, errno.EPERM)
        fix = command("chmod", "u+r", path) if is_forbidden else ""
        raise Unreadable(f"{path} cannot be read now: {known.strerror}", fix) from None


def _as_os_error(problem: Exception) -> Exception:
    """The OSError behind a problem, if any. Errors of safetensors have its number in their text."""
    if isinstance(problem, OSError):
        return problem
    if isinstance(problem, FileError) and problem.errno:
        return OSError(problem.errno, os.strerror(problem.errno))
    # "I/O error: No space left on device (os error 28)" of safetensors, "(28)" of others.
    numbers = (int(number) for number in re.findall(r"\((?:os error )?(\d{1,3})\)", str(problem)))
    meant = next((number for number in numbers if os.strerror(number) in str(problem)), None)
    return problem if meant is None else OSError(meant, os.strerror(meant))


def remove_leftovers(folder: Path) -> None:
    """Remove temporary files of processes that were killed on this machine. Files of running
    processes and of other machines stay. Raises FileError."""
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
        os.kill(pid, 0)  # signal 0 only checks whether the process exists
    except ProcessLookupError:
        return False
    except PermissionError:
        return True  # of another user
    return True
