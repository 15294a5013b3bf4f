"""DD-Ranking's scores: how much of a distilled set's advantage is due to its images, and not to its
soft labels or to the augmentation it is trained with.

Accuracies and scores are fractions, 0 to 1 (DD-Ranking prints percent).
Source: Li et al. 2024, *DD-Ranking*; its two weights λ and γ are 0.5 by default.
"""

from __future__ import annotations

import math


def hard_label_recovery(*, real: float, synthetic: float) -> float:
    """HLR: the accuracy with all real images less that with distilled images and hard labels;
    lower is better."""
    return _fraction(real) - _fraction(synthetic)


def improvement_over_random(*, synthetic: float, random: float) -> float:
    """IOR: the accuracy with distilled images and their labels less that with as many random real
    images, labelled by the same kind of teacher."""
    return _fraction(synthetic) - _fraction(random)


def label_robust_score(*, hlr: float, ior: float, weight: float = 0.5) -> float:
    """LRS of HLR and IOR. weight: λ, the share of IOR."""
    return _score(weight * ior - (1 - weight) * hlr)


def augmentation_robust_score(*, augmented: float, plain: float, weight: float = 0.5) -> float:
    """ARS of two IORs, trained with augmentation and without. weight: γ, the share of the first."""
    return _score(weight * augmented + (1 - weight) * plain)


def _score(balance: float) -> float:
    """[−1, 1] → [0, 1], rising."""
    return (math.exp(balance) - math.exp(-1)) / (math.e - math.exp(-1))


def _fraction(accuracy: float) -> float:
    """Raise ValueError for what is not a fraction: most likely percent."""
    if not 0 <= accuracy <= 1:
        raise ValueError(f"an accuracy of {accuracy} is not between 0 and 1; percent / 100 is")
    return accuracy
