"""How many networks, epochs and images are measured: to score images by difficulty (forgetting,
EL2N, easy-first), and to derive settings from experts."""

from __future__ import annotations

from collections.abc import Sequence

# Experts whose scores are averaged for a subset. Over five runs the counts of forgetting agree with
# those over five others (r = 0.98, Toneva et al. 2019), and their passes cost less than training
# one expert by GSAM.
SCORING_EXPERTS = 5
SCORERS = 5  # networks that are trained to order images from easy to hard
# Experts that settings are derived from, which differ in little but their random draws; and
# training images of a pass through each of their snapshots.
MEASURED_EXPERTS, MEASURED_IMAGES = 2, 5000
BY_FEATURES, BY_SCORES = ("herding", "kcenter"), ("forgetting", "el2n")


def early_epoch(epochs: int) -> int:
    """The epoch at which EL2N is measured (Paul et al. 2021: 20 of 200, and about as well a few
    epochs in)."""
    return max(1, round(epochs / 10))


def passes(names: Sequence[str], experts: int, epochs: int) -> int:
    """How many passes over the training images the subsets that experts choose take."""
    scores = epochs if "forgetting" in names else int("el2n" in names)
    return sum(name in BY_FEATURES for name in names) + min(experts, SCORING_EXPERTS) * scores
