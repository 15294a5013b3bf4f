"""Unpack ZIP and tar archives of datasets, once, below the data folder.

Nothing is written outside of that folder: names that lead out of it, links and devices are refused.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path, PureWindowsPath
from typing import BinaryIO

from datm_engine.data.image_sets import part_of
from datm_engine.data.readers.folder_scanner import is_system
from datm_engine.errors import DataError
from datm_engine.files import (
    cannot_read,
    cannot_write,
    make_folder,
    remove_leftovers,
    temporary_path,
)
from datm_engine.formatting import byte_size
from datm_engine.hints import READ_ONLY, command
from datm_engine.runs.events import DatasetProgress, Emit

_ZIP = (".zip",)
_TAR = (".tar", ".tar.gz", ".tgz", ".tar.xz", ".txz", ".tar.bz2", ".tbz2", ".tbz")
SUFFIXES = (*_ZIP, *_TAR)
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError,
    NotImplementedError, ValueError, UnicodeError, KeyError, IndexError,
    OSError,  # entries that cannot be files together, names too long
)  # fmt: skip
_CANNOT_WRITE = (*READ_ONLY, errno.ENOSPC, errno.EDQUOT)
_STEPS = 45


def is_archive(path: Path) -> bool:
    return path.is_file() and path.name.lower().endswith(SUFFIXES)


def stem(path: Path) -> str:
    """Return the name without .zip, .tar.gz and the like."""
    suffix = max((s for s in SUFFIXES if path.name.lower().endswith(s)), key=len, default="")
    return path.name[: len(path.name) - len(suffix)]


def unpacked(path: Path, data_dir: Path, *, emit: Emit) -> Path:
    """Unpack an archive unless that was done before. Returns the folder or the file in it, below
    folders that hold nothing else.

    Raises DataError for an archive that is damaged or would write outside, FileError where
    `data_dir` cannot be written.
    """
    folder = data_dir / "unpacked"
    target = folder / f"{stem(path)[:40]}-{_key(path)}"
    if not target.is_dir():
        make_folder(folder)
        remove_leftovers(folder)
        _unpack(path, target, emit=emit)
    return _content(target)


def _unpack(path: Path, target: Path, *, emit: Emit) -> None:
    beside = temporary_path(target)
    make_folder(beside)
    unpack = _unzip if path.name.lower().endswith(_ZIP) else _untar
    shown = 0
    try:
        with path.open("rb") as file:
            total = max(1, path.stat().st_size)
            for _ in unpack(path, file, beside):
                done = file.tell()
                if (step := done * _STEPS // total) > shown:
                    shown = step
                    emit(DatasetProgress(what=f"unpacking {path.name}", done=done, total=total))
        try:
            beside.rename(target)
        except OSError:
            if not target.is_dir():  # otherwise another process has unpacked the same archive
                raise
    except _DAMAGED as problem:
        if isinstance(problem, OSError) and problem.errno in _CANNOT_WRITE:
            raise cannot_write(target, problem) from None
        reason = getattr(problem, "strerror", None) or str(problem) or type(problem).__name__
        wrong = f"{path} cannot be unpacked: {reason.splitlines()[0]}"
        raise DataError(wrong, command("ls", "-l", path)) from None
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _unzip(path: Path, file: BinaryIO, target: Path) -> Iterator[None]:
    """Unpack a ZIP archive; yield after each entry."""
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        _check_room(path, sum(member.file_size for member in members), target)
        for member in members:
            # The upper 16 bits are the Unix mode; 0 if the archive comes from another system.
            kind = stat.S_IFMT(member.external_attr >> 16)
            # `filename` is cut at a null byte, `orig_filename` is not.
            _check(path, member.orig_filename, kind in (0, stat.S_IFREG, stat.S_IFDIR))
            archive.extract(member, target)
            yield


def _untar(path: Path, file: BinaryIO, target: Path) -> Iterator[None]:
    """Unpack a tar archive; yield after each entry."""
    if not hasattr(tarfile, "data_filter"):
        raise DataError(
            f"{path} cannot be unpacked safely by this version of Python",
            command("tar", "-xf", path, "-C", path.parent),
        )
    # A tar ends in zeros; tarfile reads one without them as if it were whole.
    is_plain = file.read(262)[257:] == b"ustar"  # the magic of an uncompressed tar
    if is_plain:
        file.seek(max(0, file.seek(0, os.SEEK_END) - 512))
        if any(file.read(512)):
            raise EOFError("it is cut short")
    file.seek(0)
    # A stream is read once, so that entries are checked just before they are written.
    with tarfile.open(fileobj=file, mode="r|*") as archive:
        for member in archive:
            _check(path, member.name, member.isfile() or member.isdir())
            _check_room(path, member.size, target)
            archive.extract(member, target, filter="data")
            yield


def _check(path: Path, name: str, is_plain: bool) -> None:
    """Raise DataError for an entry that is neither file nor folder, or could be written outside."""
    plain = PureWindowsPath(name)  # splits at either slash, and knows drives
    if not is_plain:
        wrong = "is a link or a device"
    elif not name or "\0" in name:
        wrong = "has no valid name"
    elif plain.anchor or ".." in plain.parts:
        wrong = "leads out of the folder"
    else:
        return
    raise DataError(
        f"{path} is not unpacked: its entry {name[:80]!r} {wrong}", command("ls", "-l", path)
    )


def _check_room(path: Path, size: int, target: Path) -> None:
    free = shutil.disk_usage(target).free
    if size > free:
        raise DataError(
            f"{path} needs {byte_size(size)} unpacked, and {byte_size(free)} are free in "
            f"{target.parent}, below the data folder",
            command("df", "-h", target.parent),
        )


def _content(target: Path) -> Path:
    """Return the folder below folders that hold nothing but one folder, unless that is a part of
    the dataset; or the only file."""
    while target.is_dir():
        entries = [path for path in target.iterdir() if not is_system(path.name)]
        if len(entries) != 1 or part_of(entries[0].name) is not None:
            break
        target = entries[0]
    return target


def _key(path: Path) -> str:
    try:
        about = path.stat()
        return _digest(path, about.st_size, about.st_mtime_ns)[:16]
    except OSError as problem:
        raise cannot_read(path, problem) from None


@functools.lru_cache(maxsize=8)
def _digest(path: Path, size: int, changed: int) -> str:
    """Return the sha256 of a file, cached by its size and time."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
