"""How many images of each class a split takes, where that follows from a rule alone. Without torch.

`splitting` draws which images these are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64]  # [classes]


def held_out(counts: Counts, share: float) -> Counts:
    """Count the images held out: that share of each class, at least one.

    A class with a single image keeps it for training.
    """
    if share == 0:
        return np.zeros_like(counts)
    # In float32 and half to even, as torch multiplies and rounds.
    held = np.round(counts.astype(np.float32) * np.float32(share)).astype(np.int64)
    return np.maximum(np.minimum(np.maximum(held, 1), counts - 1), 0)


def evenly(counts: Counts, total: int) -> Counts | None:
    """Count `total` images, as many of each class as far as there are.

    Returns None where that leaves to a random draw which classes get one more.
    """
    if total >= counts.sum():
        return counts
    # The first image of every class, then the second of every class, and so forth.
    least, most = 0, int(counts.max())
    while least < most:  # the number of whole rounds
        middle = (least + most + 1) // 2
        if np.minimum(counts, middle).sum() <= total:
            least = middle
        else:
            most = middle - 1
    taken = np.minimum(counts, least)
    return taken if taken.sum() == total else None
