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
    factor = _factor(pictures, most, len(rows), longest)
    height, width = (factor * side for side in pictures.shape[1:3])
    font = ImageFont.load_default(max(10, min(20, height // 4)))
    small = ImageFont.load_default(max(9, min(14, width // 8)))
    titles = [printable(row.name) for row in rows]
    margin = max((round(font.getlength(title)) for title in titles), default=0) + 2 * GAP
    captioned = any(row.captions for row in rows)
    caption_height = round(small.getbbox("Ág")[3]) + 1 if captioned else 0
    across, down = width + GAP, height + caption_height + GAP
    size = (max(1, margin + most * across), GAP + len(rows) * down)
    sheet = Image.new("RGB", size, PAPER)
    pen = ImageDraw.Draw(sheet)
    for line, (row, title) in enumerate(zip(rows, titles, strict=True)):
        top = GAP + line * down
        pen.text((margin - GAP, top + height // 2), title, INK, font, anchor="rm")
        for column, index in enumerate(row.indices):
            left = margin + column * across
            picture = pictures[index].repeat(factor, axis=0).repeat(factor, axis=1)
            # Pillow takes colours as [height, width, 3] and grey as [height, width].
            image = Image.fromarray(picture if picture.shape[-1] == 3 else picture[..., 0])
            sheet.paste(image, (left, top))
            if row.captions:
                colour = DOUBT if column in row.doubtful else INK
                text = caption = printable(row.captions[column])
                while text and small.getlength(caption) > width:
                    text = text[:-1]
                    caption = text + "…"
                pen.text((left + width // 2, top + height), caption, colour, small, anchor="ma")
    return sheet


def _factor(pictures: NDArray[np.uint8], most: int, rows: int, longest: int) -> int:
    """The largest factor with which the sheet has neither too many pixels nor too long a side."""
    height, width = pictures.shape[1:3]
    for factor in range(-(-WANTED_SIDE // max(height, width)), 1, -1):
        tall, wide = rows * (factor * height + GAP), most * (factor * width + GAP)
        if tall * wide <= MOST_PIXELS and max(tall, wide) <= longest - 500:  # 500: the names
            return factor
    return 1
