"""What changed in a picture, signed: blue where it got darker, orange where it got lighter.

The lightness of the scale rises from end to end as well, so that it reads without colours.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

DARKER = np.array([0x00, 0x72, 0xB2], dtype=np.float64)
SAME = np.array([0x7D, 0x7D, 0x7D], dtype=np.float64)
LIGHTER = np.array([0xE6, 0x9F, 0x00], dtype=np.float64)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def signed_difference(
    now: NDArray[np.uint8], start: NDArray[np.uint8]
) -> tuple[NDArray[np.uint8], float]:
    """uint8 [height, width, 3], and the difference in luminance, of [0, 1], at full colour: the
    greatest there is.

    now, start: uint8 [height, width, 1 or 3].
    """
    change = _luminance(now) - _luminance(start)
    reach = float(np.abs(change).max())
    share = change[..., None] / (reach or 1.0)
    ends = np.where(share < 0, DARKER, LIGHTER)
    colours = SAME + np.abs(share) * (ends - SAME)
    return colours.round().astype(np.uint8), reach


def _luminance(picture: NDArray[np.uint8]) -> NDArray[np.float64]:
    """[height, width] of [0, 1]."""
    if picture.shape[-1] == 1:
        return picture[..., 0] / 255.0
    luminance: NDArray[np.float64] = picture @ _LUMINANCE / 255.0
    return luminance
