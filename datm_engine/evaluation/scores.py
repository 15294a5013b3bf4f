"""DD-Ranking's scores: what is left of a distilled set's lead when its labels, or the augmentation
it is trained with, are the same for all.

Every accuracy is a fraction, 0 to 1, and so is every score (DD-Ranking prints 100 times these).
Source: Li et al. 2024, *DD-Ranking*; its two weights λ and γ are 0.5 by default.
"""

from __future__ import annotations

import math


def hard_label_recovery(*, real: float, synthetic: float) -> float:
    """HLR: how far the distilled images with hard labels stay behind all real images with theirs;
    less is better."""
    return _fraction(real) - _fraction(synthetic)


def improvement_over_random(*, synthetic: float, random: float) -> float:
    """IOR: how much the distilled images with their own labels gain on as many random real images
    that were treated in the same way (labelled by the same kind of teacher)."""
    return _fraction(synthetic) - _fraction(random)


def label_robust_score(*, hlr: float, ior: float, weight: float = 0.5) -> float:
    """LRS of HLR and IOR; `weight` is λ, the share of IOR."""
    return _score(weight * ior - (1 - weight) * hlr)


def augmentation_robust_score(*, augmented: float, plain: float, weight: float = 0.5) -> float:
    """ARS of two IORs, trained with augmentation and without; `weight` is γ, the share of the
    first."""
    return _score(weight * augmented + (1 - weight) * plain)


def _score(balance: float) -> float:
    """[−1, 1] → [0, 1], rising."""
    return (math.exp(balance) - math.exp(-1)) / (math.e - math.exp(-1))


def _fraction(accuracy: float) -> float:
    """Raises ValueError for what is no fraction: percent, most likely."""
    if not 0 <= accuracy <= 1:
        raise ValueError(f"an accuracy of {accuracy} is not between 0 and 1; percent / 100 is")
    return accuracy
