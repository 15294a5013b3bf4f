"""safetensors files: written whole or not at all, the same bytes for the same content, and with
a digest of it, so that damage is told when they are read."""

from __future__ import annotations

import hashlib
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from datm_engine.files import replacing, unhindered

DIGEST = "digest"  # its key in the metadata


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """One safetensors file. Raises FileError; what stood at `path` before then still stands."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    described = {**metadata, DIGEST: digest(plain, metadata)}
    with replacing(path, SafetensorError) as beside:
        save_file(plain, beside, metadata=described)
        _sort_metadata(beside)
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # the writer's own mode shuts out everybody else


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of a file, on the CPU, and its metadata.

    Raises Unreadable where that is not for damage, OSError, RuntimeError or SafetensorError for
    what else cannot be read, ValueError for a content that is not what was written. A file without
    a digest is taken as it is.
    """
    with opened(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    check_digest(tensors, metadata)
    return tensors, metadata


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A file to read from, by part; raises as `read_tensors` does, but for the digest."""
    with unhindered(path):
        path.open("rb").close()  # safe_open would call a file that may not be read a missing one
        with safe_open(path, framework="pt") as file:
            yield file


def check_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Raises ValueError where `metadata` states a digest and the content has another."""
    if DIGEST in metadata and metadata[DIGEST] != digest(tensors, metadata):
        raise ValueError("its content is not what was written (the digest differs)")


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """sha256, as hex, over every tensor's name, type, shape and bytes and over the metadata."""
    described = sorted(item for item in metadata.items() if item[0] != DIGEST)
    content = hashlib.sha256(json.dumps(described).encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        content.update(_bytes(tensor))
    return content.hexdigest()


def row_checks(rows: Tensor | Sequence[Tensor]) -> list[str]:
    """[rows] CRC-32 of every row's bytes, as hex: a digest tells damage of a file that is read as
    a whole, this of one that is read by row."""
    return [f"{zlib.crc32(_bytes(row)):08x}" for row in rows]


def _bytes(tensor: Tensor) -> memoryview:
    plain: memoryview = tensor.contiguous().flatten().view(torch.uint8).numpy().data
    return plain


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
