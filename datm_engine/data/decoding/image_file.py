"""Decode one image file to 8-bit grey or RGB, upright.

Pillow reads the formats; pillow-heif, an optional package, adds HEIC.
"""

from __future__ import annotations

import io
import struct
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, UnidentifiedImageError

from datm_engine.optional_imports import require

Size = tuple[int, int]  # width, height, as Pillow has it

EXTENSIONS = (
    ".avif", ".bmp", ".gif", ".jfif", ".jp2", ".jpeg", ".jpg", ".pbm", ".pgm", ".png", ".ppm",
    ".tif", ".tiff", ".webp",
)  # fmt: skip
HEIC_EXTENSIONS = (".heic", ".heif", ".hif")
GREY = frozenset(("1", "L", "LA", "I", "I;16", "I;16L", "I;16B", "I;16N"))
BITS = (8, 10, 12, 14, 16)  # of a grey's largest value
# What Pillow raises for damaged files, found by damaging files of each format at random.
DAMAGED = (
    OSError, SyntaxError, ValueError, EOFError, RuntimeError, Image.DecompressionBombError
)  # fmt: skip
# What it raises for damaged EXIF data and further frames, which leave the pixels sound.
_DAMAGED_PARTS = (*DAMAGED, struct.error, LookupError, TypeError, AttributeError, ArithmeticError)
_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_ANIMATED = ("GIF", "TIFF", "WEBP", "PNG", "AVIF")
# Where Pillow's `getexif` looks.
_EXIF = ("exif", "Raw profile type exif", "XML:com.adobe.xmp", "xmp")
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}  # of the EXIF orientation, to upright

# Pillow warns of broken EXIF data, which do no harm here; a filter of its own for each image would
# not be safe with several threads.
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.TiffImagePlugin")


class DamagedImageError(Exception):
    """An image that cannot be decoded; the message states the reason."""


class UnsupportedImageError(Exception):
    """An intact image of a kind that is not supported; the message states the reason."""


class ImageProperties(NamedTuple):
    """Properties of a decoded image.

    `top`: the largest value of a grey of more than 8 bits, which was divided by 2^`bits` − 1.
    `largest_upper_byte`: of an image of 16 bits a channel, in colour or with transparency, of which
    Pillow reads the upper bytes only. All three are None for other images. `states_white`: a grey
    of more than 8 bits whose file states a white below 65535. `frames`: the file holds several.
    """

    grey: bool
    top: int | None = None
    bits: int | None = None
    largest_upper_byte: int | None = None
    states_white: bool = False
    frames: bool = False


def read_image(
    name: Path, encoded: bytes, least_bits: int = 8
) -> tuple[Image.Image, ImageProperties]:
    """Decode an image and turn it upright: mode L if the file is grey, else RGB.

    Greys of more than 8 bits are scaled by at least `least_bits`, more if they need more.

    Raises DamagedImageError, UnsupportedImageError, DatmError for a HEIC image without its package.
    """
    image = open_image(name, encoded)
    try:
        # These read the header; decoding the pixels changes what Pillow knows of it.
        grey, wide = _is_grey(image), ";16" in str(_stored(image))
        white = _stated_white(image, encoded)
        image.load()
        deep, upper = image.mode.startswith("I"), None
        if not deep and (wide or white == 65535):
            channels: Any = image.getextrema()  # (least, largest) of each
            without_alpha = channels[: 1 if image.mode == "LA" else 3]
            upper = int(max(top for _, top in without_alpha))
        states_white = deep and white not in (None, 65535)
        plain, top, bits = _eight_bit(image, least_bits, states_white)
        if plain.has_transparency_data:  # pixels below transparent parts are often black
            plain = plain.convert("RGBA")
            plain = Image.alpha_composite(Image.new("RGBA", plain.size, "white"), plain)
        plain = plain.convert("L" if grey else "RGB")
        if not image.info.keys().isdisjoint(_EXIF):  # TIFF is turned already
            turn = _TURNS.get(_orientation(image))
            plain = plain if turn is None else plain.transpose(turn)
    except DAMAGED as problem:
        raise DamagedImageError(_reason(problem)) from None
    frames = False
    with suppress(*_DAMAGED_PARTS):  # an unreadable second frame counts as none
        frames = image.format in _ANIMATED and bool(getattr(image, "is_animated", False))
    return plain, ImageProperties(grey, top, bits, upper, states_white, frames)


def header_of(name: Path, encoded: bytes) -> tuple[Size, bool]:
    """Return width and height of the upright image, and whether it is grey, from the header."""
    image = open_image(name, encoded)
    grey = _is_grey(image)  # before reading EXIF data of a PNG decodes the pixels
    width, height = image.size
    # Pillow turns TIFF itself, and states its turned size.
    if image.format != "TIFF" and _orientation(image) >= 5:
        width, height = height, width
    return (width, height), grey


def open_image(name: Path, encoded: bytes) -> Image.Image:
    """Open an image without decoding it. Raises DamagedImageError, and DatmError for HEIC without
    its package."""
    if not encoded:
        raise DamagedImageError("the file is empty")
    if encoded[4:8] == b"ftyp" and encoded[8:12] in _HEIC_BRANDS:
        heif = require("pillow_heif", extra="heic", purpose=f"reading {name}")
        heif.register_heif_opener()
    try:
        return Image.open(io.BytesIO(encoded))
    except DAMAGED as problem:
        raise DamagedImageError(_reason(problem)) from None


def bits_of(top: int) -> int:
    """Return the fewest bits that hold this value."""
    return next(bits for bits in BITS if top < 1 << bits)


def _reason(problem: Exception) -> str:
    unknown = isinstance(problem, UnidentifiedImageError)
    return "no image format known here" if unknown else str(problem)


def _orientation(image: Image.Image) -> int:
    """Return the EXIF orientation, 1 to 8. Broken EXIF data count as 1, upright."""
    try:
        stated = image.getexif().get(ExifTags.Base.Orientation, 1)
    except _DAMAGED_PARTS:
        return 1
    return stated if isinstance(stated, int) and stated in _TURNS else 1


def _eight_bit(
    image: Image.Image, least_bits: int, states_white: bool
) -> tuple[Image.Image, int | None, int | None]:
    """Scale greys of more than 8 bits to 8 bits; Pillow's conversion would clip them to white.

    Returns the image, its largest value and the number of bits that it was divided by. Both are
    None for other images, and if the file states its white.
    """
    if image.mode == "F":
        raise UnsupportedImageError("floating point pixels have no known range")
    if not image.mode.startswith("I"):
        return image, None, None
    deep: NDArray[np.int64] = np.asarray(image).astype(np.int64)
    lowest, top = int(deep.min()), int(deep.max())
    if lowest < 0 or top > 65535:
        wrong = lowest if lowest < 0 else top
        raise UnsupportedImageError(
            f"a value of {wrong}, where greys of up to 16 bits have 0 to 65535"
        )
    bits = 16 if states_white else max(least_bits, bits_of(top))
    white = (1 << bits) - 1
    plain = Image.fromarray(((deep * 255 + white // 2) // white).astype(np.uint8))
    return (plain, None, None) if states_white else (plain, top, bits)


def _stored(image: Image.Image) -> Any:
    """Return how the file of an opened image stores pixels, in Pillow's terms: "RGB;16B", …"""
    tiles: list[Any] = getattr(image, "tile", [])
    return tiles[0][3] if tiles else ""


def _is_grey(image: Image.Image) -> bool:
    """Return whether an opened image is grey. Pillow opens 16-bit grey PNG with alpha as RGBA."""
    return image.mode in GREY or str(_stored(image)).startswith("LA;16")


def _stated_white(image: Image.Image, encoded: bytes) -> int | None:
    """Return the largest value that an opened image's PPM or JPEG 2000 header allows, or None for
    8 bits and other formats. Pillow scales it to 65535 in greys, to 255 in colours."""
    if image.format == "JPEG2000":
        depth = encoded.find(b"\xff\x4f\xff\x51") + 42  # of the first channel, after SOC and SIZ
        return (2 << (int.from_bytes(encoded[depth : depth + 1]) & 127)) - 1
    if image.format == "PPM":
        stored = _stored(image)
        return stored[1] if isinstance(stored, tuple) else {"I;16B": 65535}.get(stored)
    return None
