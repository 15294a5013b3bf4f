"""The size of images: what is known of a dataset's, and resolutions as users state them.

A resolution is 32 (for 32×32), 32x24 (width × height) or native.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import BeforeValidator

LEAST = 4  # pixels a side
NATIVE = "native"


@dataclass(frozen=True)
class Shape:
    """What is known of a dataset's images before decoding; None where only decoding shows it."""

    classes: int
    channels: int | None
    height: int | None
    width: int | None

    @property
    def assumed_size(self) -> tuple[int, int, int]:
        """Channels, height, width; those of colour images of 32×32 where they are not known."""
        return self.channels or 3, self.height or 32, self.width or 32


def normalized(stated: object) -> int | str:
    """A number of pixels for squares, "32x24" for width × height, or "native".

    Takes 32, "32", "32x24", "32×24", "32 x 32" (which is 32). Raises ValueError.
    """
    if stated == NATIVE:
        return NATIVE
    sides = _sides(stated)
    if min(sides) < LEAST:
        raise ValueError(f"a resolution of {stated} pixels is too small; {LEAST} a side at least")
    return sides[0] if sides[0] == sides[1] else f"{sides[0]}x{sides[1]}"


def size_of(resolution: int | str) -> tuple[int, int] | None:
    """Width and height; None for "native". Raises ValueError."""
    if resolution == NATIVE:
        return None
    sides = _sides(resolution)
    if min(sides) < 1:
        raise ValueError(f"a resolution of {resolution} pixels is too small")
    return sides


def _sides(stated: object) -> tuple[int, int]:
    if type(stated) is int:
        return stated, stated
    sides = re.fullmatch(r"\s*([0-9]{1,18})(?:\s*[x×X*]\s*([0-9]{1,18}))?\s*", str(stated))
    if not sides:
        raise ValueError(
            f"{str(stated)[:60]} is no resolution; it is 32, 32x24 (width x height) or native"
        )
    return int(sides[1]), int(sides[2] or sides[1])


def at_resolution(shape: Shape, resolution: int | str | None) -> Shape:
    """The shape after images are resized. A wrong resolution is refused later, with all else."""
    try:
        size = None if resolution is None else size_of(resolution)
    except ValueError:
        return shape
    return shape if size is None else replace(shape, width=size[0], height=size[1])


Resolution = Annotated[int | str, BeforeValidator(normalized)]
