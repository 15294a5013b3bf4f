"""All pictures of a distilled set on one sheet, as an image file to look at or to print."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from datm_cli.text.escapes import printable
from datm_engine.errors import ConfigError, Setting
from datm_engine.files import replacing

KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
WANTED_SIDE = 96  # pixels a picture is enlarged to, by a whole factor
MOST_PIXELS = 64_000_000  # of the whole sheet; beyond it pictures are enlarged less
GAP = 4
PAPER = (255, 255, 255)
INK = (0, 0, 0)
DOUBT = (213, 94, 0)  # captions of images whose top class is not their own

# The longest side a format can hold.
_LONGEST = {"PNG": 2**31 - 1, "JPEG": 65_500, "WEBP": 16_383}


@dataclass(frozen=True)
class Row:
    """A class: its name, its pictures' indices, and what stands under each (or nothing).

    `doubtful`: positions in the row whose captions are to stand out.
    """

    name: str
    indices: Sequence[int]
    captions: Sequence[str] = ()
    doubtful: frozenset[int] = frozenset()

    @property
    def title(self) -> str:
        return printable(self.name)


def check_kind(path: Path) -> str:
    """The format that the file's name asks for. Raises ConfigError for none we write."""
    kind = KINDS.get(path.suffix.lower())
    if kind is None:
        raise ConfigError(
            f"--save {path}: a sheet is written as {', '.join(KINDS)}",
            Setting("save", path.with_suffix(".png")),
        )
    return kind


def save_sheet(path: Path, pictures: NDArray[np.uint8], rows: Sequence[Row]) -> None:
    """Draw a row a class, the name at its left, and write it in the format of the file's name.

    pictures: uint8 [n, height, width, 1 or 3]. Raises ConfigError for a name or a size the
    format cannot hold, FileError if the file cannot be written.
    """
    kind = check_kind(path)
    sheet = draw(pictures, rows, longest=_LONGEST[kind])
    if max(sheet.size) > _LONGEST[kind]:
        raise ConfigError(
            f"--save {path}: {sheet.width} × {sheet.height} pixels are more than {kind} can hold",
            Setting("save", path.with_suffix(".png")),
        )
    encoded = io.BytesIO()
    # Small tiles with hard edges: otherwise JPEG blurs their colours and WebP their pixels. PNG
    # ignores these.
    sheet.save(encoded, kind, quality=95, subsampling=0, lossless=True)
    with replacing(path) as beside:
        beside.write_bytes(encoded.getvalue())


def draw(
    pictures: NDArray[np.uint8], rows: Sequence[Row], *, longest: int = _LONGEST["PNG"]
) -> Image.Image:
    """The sheet, its pictures enlarged by the same whole factor, without smoothing."""
    most = max((len(row.indices) for row in rows), default=0)
    captioned = any(row.captions for row in rows)
    factor = _factor(pictures, most, len(rows), longest)
    height, width = (factor * side for side in pictures.shape[1:3])
    font = _font(max(10, min(20, height // 4)))
    small = _font(max(9, min(14, width // 8)))
    margin = max((_width(font, row.title) for row in rows), default=0) + 2 * GAP
    below = _height(small) + 1 if captioned else 0
    across, down = width + GAP, height + below + GAP
    size = (margin + most * across, GAP + len(rows) * down)
    sheet = Image.new("RGB", (max(1, size[0]), max(1, size[1])), PAPER)
    pen = ImageDraw.Draw(sheet)
    for line, row in enumerate(rows):
        top = GAP + line * down
        pen.text((margin - GAP, top + height // 2), row.title, INK, font, anchor="rm")
        for place, index in enumerate(row.indices):
            left = margin + place * across
            picture = pictures[index].repeat(factor, axis=0).repeat(factor, axis=1)
            sheet.paste(_image(picture), (left, top))
            if row.captions:
                colour = DOUBT if place in row.doubtful else INK
                text = _fitted(small, printable(row.captions[place]), width)
                pen.text((left + width // 2, top + height), text, colour, small, anchor="ma")
    return sheet


def _factor(pictures: NDArray[np.uint8], most: int, rows: int, longest: int) -> int:
    height, width = pictures.shape[1:3]
    factor = max(1, -(-WANTED_SIDE // max(height, width)))
    while factor > 1:
        tall, wide = rows * (factor * height + GAP), most * (factor * width + GAP)
        if tall * wide <= MOST_PIXELS and max(tall, wide) <= longest - 500:  # 500: the names
            break
        factor -= 1
    return factor


def _image(picture: NDArray[np.uint8]) -> Image.Image:
    if picture.shape[-1] == 1:
        picture = picture.repeat(3, axis=-1)
    return Image.fromarray(np.ascontiguousarray(picture))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _width(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str) -> int:
    return round(font.getlength(text))


def _height(font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> int:
    return round(font.getbbox("Ág")[3])


def _fitted(font: ImageFont.FreeTypeFont | ImageFont.ImageFont, text: str, width: int) -> str:
    """`text`, or as much of its beginning as fits."""
    if _width(font, text) <= width:
        return text
    while text and _width(font, text + "…") > width:
        text = text[:-1]
    return text + "…"
