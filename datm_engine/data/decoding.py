"""From image files to one uint8 array: grey or RGB, all of one size."""

from __future__ import annotations

import errno
import hashlib
import io
import math
import os
import stat
from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError
from torch import Tensor

from datm_engine.errors import ConfigError, DataError
from datm_engine.events import DatasetProgress
from datm_engine.hints import command

Item = TypeVar("Item")
Made = TypeVar("Made")
Pixels = NDArray[np.uint8]
Size = tuple[int, int]  # width, height, as Pillow has it

EXTENSIONS = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
_STEPS = 45  # progress events a pass; reading and decoding together stay below 100
_CORES = min(8, os.cpu_count() or 1)
# Threads wait for each other longer than they gain on less: 15,000 images of 32×32 took 2.1 s
# with one thread, 2.9 s with two, 4.2 s with eight; from 128×128 on, two cores decode faster.
_WORTH_THREADS = 128 * 128  # pixels
_GREY = frozenset(("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N"))
# What Pillow raises for damaged files, found by damaging files of each format at random.
_DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, RuntimeError, Image.DecompressionBombError
)  # fmt: skip


def in_chunks(
    work: Callable[[Item], Made], items: Sequence[Item], what: str, threads: int = _CORES
) -> Generator[DatasetProgress, None, list[Made]]:
    """What `work` makes of every item, in their order; told of in about `_STEPS` events."""
    size = max(1, math.ceil(len(items) / _STEPS))
    chunks = [items[start : start + size] for start in range(0, len(items), size)]
    made: list[Made] = []
    with ThreadPoolExecutor(threads) as pool:
        for some in pool.map(lambda chunk: [work(item) for item in chunk], chunks):
            made += some
            yield DatasetProgress(what=what, done=len(made), total=len(items))
    return made


def content_of(path: Path) -> bytes:
    """sha256 of a file's bytes. Raises DataError."""
    return hashlib.sha256(_read(path)).digest()


def size_of(path: Path) -> tuple[Size, bool]:
    """An image's width and height, and whether it is grey, from its header alone."""
    return encoded_size(path, _read(path))


def encoded_size(place: Path, encoded: bytes) -> tuple[Size, bool]:
    """The same of a file's bytes."""
    with _open(place, encoded) as image:
        return image.size, image.mode in _GREY


def decode(
    paths: Sequence[Path], contents: Sequence[bytes], resolution: Size | None, what: str
) -> Generator[DatasetProgress, None, Tensor]:
    """The images of files, as `decode_encoded` gives them.

    `contents` are the files' digests, so that what is decoded is what was digested.
    """

    def read(index: int) -> bytes:
        path = paths[index]
        encoded = _read(path)
        if hashlib.sha256(encoded).digest() != contents[index]:
            raise DataError(f"{path} changed while it was being read", command("ls", "-l", path))
        return encoded

    return (yield from decode_encoded(paths, read, resolution, what))


def decode_encoded(
    places: Sequence[Path], read: Callable[[int], bytes], resolution: Size | None, what: str
) -> Generator[DatasetProgress, None, Tensor]:
    """uint8 [n, channels, height, width]; one channel if every image is grey, else three.

    `read` gives the encoded bytes of the image that errors call by its place.
    Without a resolution all images must be of the first one's size; raises ConfigError if they
    are not, and DataError for an image that cannot be read.
    """
    first = encoded_size(places[0], read(0))[0]
    size = resolution or first
    threads = _CORES if math.prod(first) >= _WORTH_THREADS else 1
    rgb = _empty(len(places), 3, size)

    def fill(index: int) -> bool:
        path = places[index]
        with _open(path, read(index)) as image:
            if resolution is None and image.size != size:
                raise _sizes_differ(places[0], size, path, image.size)
            grey = image.mode in _GREY
            rgb[index] = _pixels(path, image, grey, size)
        return grey

    all_grey = all((yield from in_chunks(fill, range(len(places)), what, threads)))
    return torch.from_numpy(rgb[:, :1].copy() if all_grey else rgb)


def resize(images: Tensor, size: Size, what: str) -> Generator[DatasetProgress, None, Tensor]:
    """uint8 [n, 1 or 3, height, width] → the same at another size."""
    n, channels, height, width = images.shape
    if (width, height) == size:
        return images
    arrays = images.permute(0, 2, 3, 1).numpy()
    resized = _empty(n, channels, size)

    def fill(index: int) -> None:
        image = Image.fromarray(arrays[index, :, :, 0] if channels == 1 else arrays[index])
        resized[index] = _channels_first(_resized(image, size))

    yield from in_chunks(fill, range(n), what, threads=1)
    return torch.from_numpy(resized)


def _empty(n: int, channels: int, size: Size) -> Pixels:
    width, height = size
    try:
        return np.empty((n, channels, height, width), np.uint8)
    except (MemoryError, ValueError):  # too many bytes, or more than can be counted
        raise ConfigError(
            f"{n} images of {width}×{height} need "
            f"{n * channels * height * width / 1e9:.0f} GB of memory",
            "--resolution 64",
        ) from None


def _read(path: Path) -> bytes:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # one would wait for a pipe for ever
            raise OSError(errno.EINVAL, "it is no file")
        return path.read_bytes()
    except OSError as problem:
        reason = problem.strerror or str(problem)
        raise DataError(f"{path} cannot be read: {reason}", command("ls", "-l", path)) from None


def _open(path: Path, encoded: bytes) -> Image.Image:
    try:
        return Image.open(io.BytesIO(encoded))
    except _DAMAGED as problem:
        raise _damaged(path, problem) from None


def _pixels(path: Path, image: Image.Image, grey: bool, size: Size) -> Pixels:
    """[3 or 1, height, width]."""
    try:
        image.load()
        plain = _over_white(_eight_bit(image)).convert("L" if grey else "RGB")
        return _channels_first(_resized(plain, size))
    except _DAMAGED as problem:
        raise _damaged(path, problem) from None


def _channels_first(image: Image.Image) -> Pixels:
    pixels = np.asarray(image)
    return pixels[None] if image.mode == "L" else pixels.transpose(2, 0, 1)


def _resized(image: Image.Image, size: Size) -> Image.Image:
    """Bilinear, over as many pixels as fall into one (antialiased)."""
    return image if image.size == size else image.resize(size, Image.Resampling.BILINEAR)


def _eight_bit(image: Image.Image) -> Image.Image:
    """16-bit grey brought to 8 bits; Pillow's own conversion would clip it to white."""
    if image.mode == "F":
        raise ValueError("floating point pixels have no known range; store them in 8 or 16 bits")
    if not image.mode.startswith("I"):
        return image
    deep = np.asarray(image).astype(np.int64).clip(0, 65535)
    return Image.fromarray(((deep + 128) // 257).astype(np.uint8))


def _over_white(image: Image.Image) -> Image.Image:
    """Transparent parts made white: what hides below them is arbitrary, often all black."""
    if not image.has_transparency_data:
        return image
    image = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)


def _sizes_differ(first: Path, size: Size, other: Path, other_size: Size) -> ConfigError:
    return ConfigError(
        f"images differ in size: {first} is {size[0]}×{size[1]}, "
        f"{other} is {other_size[0]}×{other_size[1]}",
        f"--resolution {min(64, *size, *other_size)}",
    )


def _damaged(path: Path, problem: Exception) -> DataError:
    unknown = isinstance(problem, UnidentifiedImageError)
    reason = "no image format known here" if unknown else str(problem)
    return DataError(
        f"{path} is not a readable image: {reason}",
        f"{command('rm', path)}   # or put an intact copy in its place",
    )
