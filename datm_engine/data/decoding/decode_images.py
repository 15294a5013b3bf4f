"""Decode many images to one uint8 tensor, grey or RGB, all of one size."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from datm_engine.data.decoding import image_file as image_files
from datm_engine.data.decoding.decoding_report import damaged_error, notes_of, unsupported_error
from datm_engine.data.decoding.image_file import (
    DamagedImageError,
    ImageProperties,
    UnsupportedImageError,
)
from datm_engine.data.image_sets import ImageSet, PartName
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import ConfigError, DataError, Setting
from datm_engine.files import cannot_read
from datm_engine.formatting import byte_size
from datm_engine.runs.events import DatasetProgress, Emit, Noted

if TYPE_CHECKING:
    from torch import Tensor

Item = TypeVar("Item")
Made = TypeVar("Made")
Pixels = NDArray[np.uint8]
Size = image_files.Size  # width, height

_STEPS = 45  # progress events a pass; reading and decoding together stay below 100
_CORES = min(8, os.cpu_count() or 1)
# Threads wait for each other longer than they gain on less: 15,000 images of 32×32 took 2.1 s
# with one thread, 2.9 s with two, 4.2 s with eight; from 128×128 on, two cores decode faster.
_WORTH_THREADS = 128 * 128  # pixels


@dataclass(frozen=True)
class Decoded:
    """`images`: uint8 [kept, 1 or 3, height, width]. `kept`: bool [all], which images these are.
    `notes`: what to report of the decoding."""

    images: Tensor
    kept: Tensor
    notes: tuple[str, ...]

    def parts(
        self,
        labels: Mapping[PartName, Tensor],
        class_names: Sequence[str],
        complete: Sequence[PartName],
        source: object,
        fix: str,
    ) -> dict[PartName, ImageSet]:
        """Divide the images into parts, whose labels of all images are given in their order.

        Parts without an intact image are left out. Raises DataError, which names the `source`, if
        one of `complete` has no intact image of a class.
        """
        import torch

        kept = self.kept.split([len(of_part) for of_part in labels.values()])
        images = self.images.split([int(of_part.sum()) for of_part in kept])
        parts: dict[PartName, ImageSet] = {}
        for (part, stated), intact_ones, pixels in zip(labels.items(), kept, images, strict=True):
            used = stated[intact_ones]
            counts = torch.bincount(used, minlength=len(class_names))  # [classes]
            if part in complete and not counts.all():
                empty = class_names[int(counts.argmin())]
                wrong = f"class {empty} has no intact image in the {part} part of {source}"
                raise DataError(wrong, fix)
            if len(used):
                parts[part] = ImageSet(pixels, used)
        return parts


def in_chunks(
    work: Callable[[Item], Made],
    items: Sequence[Item],
    what: str,
    threads: int = _CORES,
    *,
    emit: Emit,
) -> list[Made]:
    """Map `work` over the items in threads, with about `_STEPS` progress events."""
    size = max(1, math.ceil(len(items) / _STEPS))
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    made: list[Made] = []
    with ThreadPoolExecutor(threads) as pool:
        for some in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
            made += some
            emit(DatasetProgress(what=what, done=len(made), total=len(items)))
    return made


def size_of(path: Path) -> tuple[Size, bool]:
    """Return width and height of an upright image, and whether it is grey, from its header."""
    return encoded_size(path, read_file(path))


def encoded_size(name: Path, encoded: bytes) -> tuple[Size, bool]:
    """Return the same as `size_of` from a file's bytes. Both raise DataError."""
    try:
        return image_files.header_of(name, encoded)
    except DamagedImageError as problem:
        raise damaged_error([name], {0: problem}) from None


def decode(
    names: Sequence[Path], read: Callable[[int], bytes], options: LoadOptions, *, emit: Emit
) -> Decoded:
    """Decode images: to one channel if all of them are grey, else to three.

    `read` returns the encoded bytes of an image, `names` are what errors call the images. Greys of
    more than 8 bits are divided by 2^bits − 1, with the fewest bits that hold the largest value of
    all. Raises ConfigError for images of several sizes without a resolution, DataError for images
    that are damaged, unless these are skipped, and for intact ones of an unsupported kind.
    """
    import torch

    resolution, what = options.resolution, f"decoding {options.name}"
    first_name, first = _first_size(names, read, whole=resolution is None)
    size = resolution or first
    # [n, 3, height, width]; greys fill all three channels until it is known that all are grey.
    rgb = _empty(len(names), 3, size)
    least_bits = [image_files.BITS[0]]  # grows while greys are decoded

    def fill(index: int) -> ImageProperties | Exception:
        try:
            image, properties = image_files.read_image(names[index], read(index), least_bits[0])
        except (DamagedImageError, UnsupportedImageError) as problem:
            return problem
        if resolution is None and image.size != size:
            raise ConfigError(
                f"images differ in size: {first_name} is {size[0]}×{size[1]}, "
                f"{names[index]} is {image.size[0]}×{image.size[1]}",
                Setting("resolution", min(64, *size, *image.size)),
            )
        least_bits[0] = max(least_bits[0], properties.bits or 0)
        rgb[index] = _channels_first(_resized(image, size))
        return properties

    threads = _CORES if math.prod(first) >= _WORTH_THREADS else 1
    results = in_chunks(fill, range(len(names)), what, threads, emit=emit)
    facts = {n: result for n, result in enumerate(results) if isinstance(result, ImageProperties)}
    damaged = {n: result for n, result in enumerate(results) if isinstance(result, Exception)}
    if unsupported := {n: it for n, it in damaged.items() if isinstance(it, UnsupportedImageError)}:
        raise unsupported_error(names, unsupported)
    bits = image_files.bits_of(max((one.top or 0 for one in facts.values()), default=0))
    # Decoded before the image with the largest values raised least_bits.
    if again := [n for n, one in facts.items() if one.bits not in (None, bits)]:
        least_bits[0] = bits
        in_chunks(fill, again, f"{what} again", threads, emit=emit)
    if damaged and not options.skip_damaged:
        raise damaged_error(names, damaged)
    kept = np.array([n in facts for n in range(len(names))])  # [all]
    pixels = rgb if kept.all() else rgb[kept]  # [kept, 3, height, width]
    if all(one.grey for one in facts.values()):
        pixels = pixels[:, :1].copy()
    notes = notes_of(names, facts, damaged, bits)
    for text in notes:
        emit(Noted(text=text))
    return Decoded(torch.from_numpy(pixels), torch.from_numpy(kept), notes)


def _first_size(
    names: Sequence[Path], read: Callable[[int], bytes], *, whole: bool
) -> tuple[Path, Size]:
    """Return name and size of the first intact image. With `whole` it is decoded to the end, else
    only its header is read."""
    damaged: dict[int, Exception] = {}
    for index, name in enumerate(names):
        try:
            encoded = read(index)
            if whole:
                with suppress(UnsupportedImageError):  # decode reports all of them
                    image_files.read_image(name, encoded)
            return name, image_files.header_of(name, encoded)[0]
        except DamagedImageError as problem:
            damaged[index] = problem
    raise damaged_error(names, damaged)


def resize(images: Tensor, size: Size, what: str, *, emit: Emit) -> Tensor:
    """Resize uint8 images [n, 1 or 3, height, width] to (width, height)."""
    import torch

    n, channels, height, width = images.shape
    if (width, height) == size:
        return images
    arrays = images.permute(0, 2, 3, 1).numpy()  # [n, height, width, 1 or 3]
    resized = _empty(n, channels, size)

    def fill(index: int) -> None:
        image = Image.fromarray(arrays[index, :, :, 0] if channels == 1 else arrays[index])
        resized[index] = _channels_first(_resized(image, size))

    in_chunks(fill, range(n), what, threads=1, emit=emit)
    return torch.from_numpy(resized)


def _empty(n: int, channels: int, size: Size) -> Pixels:
    width, height = size
    try:
        return np.empty((n, channels, height, width), np.uint8)
    except (MemoryError, ValueError):  # too many bytes, or more than can be counted
        raise ConfigError(
            f"{n} images of {width}×{height} need "
            f"{byte_size(n * channels * height * width)} of memory",
            Setting("resolution", 64),
        ) from None


def read_file(path: Path) -> bytes:
    """Read a file's bytes. Raises DataError."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe would block for ever
            raise OSError(errno.EINVAL, "it is no file")
        return path.read_bytes()
    except OSError as problem:
        raise cannot_read(path, problem) from None


def _channels_first(image: Image.Image) -> Pixels:
    pixels = np.asarray(image)
    return pixels[None] if image.mode == "L" else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    """Resize an image, bilinear and antialiased."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)
