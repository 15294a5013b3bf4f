"""Read MNIST's files, *-images-idx3-ubyte and *-labels-idx1-ubyte, compressed by gzip or not.

FashionMNIST, KMNIST and EMNIST have the same files; EMNIST's images are stored transposed.
"""

from __future__ import annotations

import gzip
import math
import re
import struct
from pathlib import Path
from typing import BinaryIO

import numpy as np

from datm_engine.data.image_sets import PartName, part_of
from datm_engine.data.readers.array_files import Array, ArrayReader, Arrays, Contents
from datm_engine.errors import DataError, Setting
from datm_engine.files import damage_as_error
from datm_engine.hints import command

_NAME = re.compile(
    r"(?P<set>.*?)(?P<part>[a-z0-9]+)-(?P<what>images|labels)[-.]idx[13][-_]ubyte(\.gz)?", re.I
)
_KIND = "idx file"
_FASHION = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
    "Ankle boot",
)  # fmt: skip


class IdxReader(ArrayReader):
    """Reads a file of images, or a folder that has such files, also in raw/."""

    @staticmethod
    def recognizes(path: Path) -> bool:
        if path.is_file():
            return _NAME.fullmatch(path.name) is not None
        return bool(_images(_folder(path)))

    def contents(self) -> Contents:
        folder = self.path.parent if self.path.is_file() else _folder(self.path)
        sets = _images(folder)
        if self.path.is_file() and (named := _NAME.fullmatch(self.path.name)):
            sets = {key: files for key, files in sets.items() if key == named["set"]}
        if len(sets) > 1:
            known = ", ".join(name.rstrip("-") or "train" for name in sets)
            example = next(iter(next(iter(sets.values())).values()))
            raise DataError(
                f"{folder} has the files of {len(sets)} datasets: {known}; choose one by its file",
                Setting("dataset", example),
            )
        files = next(iter(sets.values()), {})
        parts = {part: _arrays(path) for part, path in files.items()}
        folders = [re.sub("[-_]", "", name.lower()) for name in self.path.resolve().parts]
        return Contents(parts, _FASHION if "fashionmnist" in folders else None)


def _folder(path: Path) -> Path:
    """Return the folder of the files; torchvision stores them in raw/."""
    return path / "raw" if not _images(path) and (path / "raw").is_dir() else path


def _images(folder: Path) -> dict[str, dict[PartName, Path]]:
    """Return the files of images by dataset ("" or "emnist-letters-") and part."""
    files: dict[str, dict[PartName, Path]] = {}
    for path in sorted(folder.iterdir()):
        named = _NAME.fullmatch(path.name)
        if named and named["what"].lower() == "images" and path.is_file():
            word = named["part"].lower()
            part: PartName | None = "test" if word == "t10k" else part_of(word)
            if part:
                files.setdefault(named["set"], {}).setdefault(part, path)
    return files


def _arrays(images: Path) -> Arrays:
    wanted = re.sub("images([-.])idx3", r"labels\1idx1", images.name, flags=re.I)
    choices = [
        images.with_name(name) for name in (wanted, wanted.removesuffix(".gz"), f"{wanted}.gz")
    ]
    labels = next((path for path in choices if path.is_file()), None)
    if labels is None:
        fix = command("ls", "-l", images.parent)
        raise DataError(f"{images} has no labels beside it: {wanted} is not there", fix)
    transposed = images.name.lower().startswith("emnist")

    def images_of() -> Array:
        pixels = _read(images)
        return pixels.transpose(0, 2, 1) if transposed and pixels.ndim == 3 else pixels

    with damage_as_error(images, _KIND), _open(images) as file:
        shape = _header(file)
    if transposed and len(shape) == 3:
        shape = (shape[0], shape[2], shape[1])
    return Arrays(str(images), shape, images_of, _read(labels))


def _open(path: Path) -> BinaryIO:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _header(file: BinaryIO) -> tuple[int, ...]:
    """Read the shape: two zero bytes, the type (8: uint8), the number of axes, big-endian sizes."""
    magic = file.read(4)
    if len(magic) < 4 or magic[:3] != b"\0\0\x08":
        raise ValueError("it does not begin as an idx file of bytes does")
    sizes = file.read(4 * magic[3])
    if len(sizes) < 4 * magic[3]:
        raise ValueError("it ends within its header")
    return struct.unpack(f">{magic[3]}I", sizes)  # n, height, width


def _read(path: Path) -> Array:
    with damage_as_error(path, _KIND), _open(path) as file:
        shape = _header(file)
        content = file.read()
        size = math.prod(shape) if shape else 0
        if len(content) != size:
            raise ValueError(f"its header states {size} bytes, and {len(content)} follow")
        return np.frombuffer(bytearray(content), np.uint8).reshape(shape)  # writable
