"""Arrays of numbers in MATLAB's files of version 5 (-v6 and -v7), which SVHN is distributed in.

SciPy's reader can end the process by a segmentation fault where a file is damaged; this one checks
every type and size, and raises ValueError.
"""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_HEADER = 128  # bytes of text, version and byte order before the first element
_HEAD = 4096  # bytes of an element that hold its flags, dimensions and name
_MATRIX, _COMPRESSED = 14, 15
# Types of the stored numbers, and classes of the arrays they make.
_TYPES = {
    1: "i1", 2: "u1", 3: "i2", 4: "u2", 5: "i4", 6: "u4", 7: "f4", 9: "f8", 12: "i8", 13: "u8"
}  # fmt: skip
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"
}  # fmt: skip
_COMPLEX = 0x08


@dataclass(frozen=True)
class Variable:
    """`dtype` is None for what is no array of real numbers. `start` and `size` are those of the
    element in the file, `order` is "<" or ">"."""

    name: str
    shape: tuple[int, ...]
    dtype: str | None
    start: int
    size: int
    is_compressed: bool
    order: str


def variables(path: Path) -> list[Variable]:
    """Of every variable its name, shape and type, from the beginning of its element. Raises
    ValueError for a file that is damaged or of another version."""
    found = []
    with path.open("rb") as file:
        order = _byte_order(file.read(_HEADER))
        end = file.seek(0, 2)
        start = _HEADER
        while start < end:
            file.seek(start)
            kind, size = _numbers(file.read(8), f"{order}2I")
            if start + 8 + size > end:
                raise ValueError("it is cut short")
            head = _content(file, size, kind == _COMPRESSED, _HEAD)
            if kind == _COMPRESSED:
                inner, _ = _numbers(head[:8], f"{order}2I")
                head = head[8:]
            else:
                inner = kind
            if inner != _MATRIX:
                raise ValueError(f"an element of type {inner} stands where a variable should")
            found.append(_variable(head, start + 8, size, kind == _COMPRESSED, order))
            start += 8 + size
    return found


def read(path: Path, variable: Variable) -> NDArray[Any]:
    """The variable's numbers in its shape. Raises ValueError as `variables` does."""
    if variable.dtype is None:
        raise ValueError(f"{variable.name} is no array of real numbers")
    count = 1
    for side in variable.shape:
        count *= side
    with path.open("rb") as file:
        file.seek(variable.start)
        most = _HEAD + 8 * count  # of 8 bytes at most, so that a few bytes do not become gigabytes
        content = _content(file, variable.size, variable.is_compressed, most)
    content = content[8:] if variable.is_compressed else content
    position = 0
    for _ in range(3):  # flags, dimensions, name
        _, _, position = _element(content, position, variable.order)
    kind, numbers, _ = _element(content, position, variable.order)
    if kind not in _TYPES:
        raise ValueError(f"{variable.name} has numbers of an unknown type {kind}")
    values = np.frombuffer(numbers, np.dtype(variable.order + _TYPES[kind]))
    if len(values) != count:
        raise ValueError(f"{variable.name} states {count} numbers, and has {len(values)}")
    return values.astype(variable.dtype).reshape(variable.shape, order="F")


def _byte_order(header: bytes) -> str:
    version, mark = header[124:126], header[126:128]
    order = {b"IM": "<", b"MI": ">"}.get(mark)
    if order is None or _numbers(version, f"{order}H")[0] != 0x0100:
        raise ValueError("it does not begin as MATLAB's files of version 5 do")
    return order


def _variable(head: bytes, start: int, size: int, is_compressed: bool, order: str) -> Variable:
    _, flags, position = _element(head, 0, order)
    _, dimensions, position = _element(head, position, order)
    _, name, _ = _element(head, position, order)
    bits = _numbers(flags[:4], f"{order}I")[0]
    sides = np.frombuffer(dimensions, np.dtype(f"{order}i4"))
    if (sides < 0).any():
        raise ValueError("a variable has a negative size")
    dtype = None if (bits >> 8) & _COMPLEX else _CLASSES.get(bits & 0xFF)
    shape = tuple(int(side) for side in sides)
    return Variable(name.decode("latin1"), shape, dtype, start, size, is_compressed, order)


def _content(file: BinaryIO, size: int, is_compressed: bool, most: int) -> bytes:
    """At most `most` bytes of an element."""
    if not is_compressed:
        return file.read(min(size, most))
    stored = file.read(min(size, most + most // 1000))  # what cannot be compressed grows a little
    return zlib.decompressobj().decompress(stored, most)


def _element(content: bytes, position: int, order: str) -> tuple[int, bytes, int]:
    """Type and bytes of the element at a position, and the position of the next one."""
    kind, size = _numbers(content[position : position + 8], f"{order}2I")
    start = position + 8
    if kind >> 16:  # up to 4 bytes stand within the tag
        kind, size, start = kind & 0xFFFF, kind >> 16, position + 4
        following = position + 8
    else:
        following = start + (size + 7) // 8 * 8
    if start + size > len(content):
        raise ValueError("an element is cut short")
    return kind, content[start : start + size], following


def _numbers(content: bytes, form: str) -> tuple[int, ...]:
    try:
        return struct.unpack(form, content)
    except struct.error:
        raise ValueError("it is cut short") from None
