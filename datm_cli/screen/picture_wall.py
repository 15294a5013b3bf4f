"""What hangs in a grid of pictures: whoever shows pictures in a `PictureGrid` provides this."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Caption:
    """Under a picture. `marked`: set off by a sign and a colour."""

    text: str
    marked: bool = False


class Wall(Protocol):
    """What hangs in a grid. Each place holds `beside` pictures that belong together."""

    @property
    def beside(self) -> int:
        """Pictures at each place."""
        ...

    def __len__(self) -> int:
        """Places."""
        ...

    def pictures(self, places: range) -> Sequence[Sequence[Pixels | None]]:
        """For each place its pictures, uint8 [height, width, 1 or 3]; None hangs nothing."""
        ...

    def caption(self, place: int) -> Caption: ...
