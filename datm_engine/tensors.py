"""safetensors files: written whole or not at all, with the same bytes for the same content, and
with a digest of it, so that damage is detected when they are read."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from datm_engine.files import replacing, unreadable_as_error

DIGEST = "digest"  # its key in the metadata
# What reading a file raises if it is damaged or holds something else.
UNREADABLE = (SafetensorError, OSError, RuntimeError, KeyError, IndexError, TypeError, ValueError)


def save_tensors(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Write one safetensors file. Raises FileError; an earlier file then stays as it is."""
    # Waits for the device to finish its work.
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    described = {**metadata, DIGEST: digest(plain, metadata)}
    with replacing(path, SafetensorError) as beside:
        save_file(plain, beside, metadata=described)
        _sort_metadata(beside)
        # Without this, a crash of the machine may leave a renamed file that is empty.
        with beside.open("rb") as file:
            os.fsync(file.fileno())
        beside.chmod(0o666 & ~_umask())  # safetensors makes files private


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Every tensor of a file, on the CPU, and its metadata.

    Raises Unreadable if permissions or memory are missing, one of UNREADABLE for a damaged file or
    another content. A file without a digest, of another program, is accepted.
    """
    with open_tensors(path) as file:
        metadata = file.metadata() or {}
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    check_digest(tensors, metadata)
    return tensors, metadata


@contextmanager
def open_tensors(path: Path) -> Iterator[Any]:
    """Open a file to read parts of it. Raises as `read_tensors` does; the digest is not checked."""
    with unreadable_as_error(path):
        path.open("rb").close()  # safe_open reports missing permissions as a missing file
        with safe_open(path, framework="pt") as file:
            yield file


def check_digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    """Raise ValueError if the digest in `metadata` is not that of the content."""
    if DIGEST in metadata and metadata[DIGEST] != digest(tensors, metadata):
        raise ValueError("its content is not what was written (the digest differs)")


def digest(tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> str:
    """sha256 in hex of every tensor's name, type, shape and bytes, and of the metadata."""
    described = sorted(item for item in metadata.items() if item[0] != DIGEST)
    content = hashlib.sha256(json.dumps(described).encode())
    for name, tensor in sorted(tensors.items()):
        content.update(f"\n{name} {tensor.dtype} {tuple(tensor.shape)} ".encode())
        content.update(_bytes(tensor))
    return content.hexdigest()


def _bytes(tensor: Tensor) -> memoryview:
    plain: memoryview = tensor.contiguous().flatten().view(torch.uint8).numpy().data
    return plain


def _sort_metadata(path: Path) -> None:
    """Sort the metadata in the header. The library writes it in random order."""
    with path.open("r+b") as file:
        # The format: the length of the header (8 bytes), the header (JSON), the tensors.
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
        if "__metadata__" in header:
            header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
        text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
        file.seek(8)
        file.write(text.ljust(length))  # spaces at the end keep its length


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
