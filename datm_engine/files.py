"""Writing files so that a reader never sees half of one: beside, flushed, renamed into place."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from datm_engine.errors import FileError


def make_folder(folder: Path, hint: str) -> None:
    """With its parents, if it is not there. Raises FileError where that is not allowed."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        raise FileError(f"{folder} cannot be made: {problem.strerror}", hint) from None


def save_text(path: Path, text: str) -> None:
    """Raises FileError; what stood at `path` before then still stands."""
    beside = _beside(path)
    try:
        with beside.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as problem:
        raise _unwritable(path, beside, problem) from None


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """One safetensors file. Raises FileError; what stood at `path` before then still stands."""
    beside = _beside(path)
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(plain, beside, metadata=dict(metadata))
        _sort_metadata(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # the writer's own mode shuts out everybody else
        beside.replace(path)
    except (OSError, SafetensorError) as problem:
        raise _unwritable(path, beside, problem) from None


def _sort_metadata(path: Path) -> None:
    """Put a safetensors file's metadata in order: the writer's own is random, and the same
    content should give the same bytes. Source: the format's header, a length and JSON."""
    with path.open("r+b") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        file.seek(8)
        file.write(text.ljust(length))


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def _beside(path: Path) -> Path:
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def _unwritable(path: Path, beside: Path, problem: Exception) -> FileError:
    with suppress(OSError):  # where it cannot be removed, it could not be written either
        beside.unlink(missing_ok=True)
    reason = getattr(problem, "strerror", None) or str(problem)
    return FileError(f"{path} cannot be written: {reason}", f"df -h {path.parent}")
