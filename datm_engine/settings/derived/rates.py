"""Rules for the student's learning rate η, for the rates at which images, labels and η itself are
learned (lr_images, lr_labels, lr_lr), and for the threshold.

`calibration.derivation` measures the `InitialMatch` that they need, after the experts are trained.
Until then a run without a preset has provisional rates (`choose_preset`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from datm_engine.settings.derived.values import Derived, Value, rounded

# Compared on digits: docs/unpublished.md.
STEP_OF_IMAGES, STEP_OF_LABELS, STEP_OF_RATE = 0.6, 0.02, 0.02
# η is halved, HALVINGS times at most, until the mean matching loss of the initial set is below
# LARGEST_FIRST_LOSS.
LARGEST_FIRST_LOSS, HALVINGS = 2.0, 3
# Each rate makes the first step change its tensor by (share / √iterations) × scale. The scale is
# the standard deviation for images and labels, and η for the student's rate. rate → (tensor, share,
# the scale in words)
FIRST_STEPS = {
    "lr_images": ("images", STEP_OF_IMAGES, "the images' deviation"),
    "lr_labels": ("labels", STEP_OF_LABELS, "the logits' deviation"),
    "lr_lr": ("syn_lr", STEP_OF_RATE, "η"),
}


def student_rate(lr: float, expert_steps: int, n: int) -> float:
    """η before anything is measured: 0.3 × `expert_steps` / `n` × `lr`, so that `n` student steps
    go about a third as far as `expert_steps` steps of an expert. At least `lr`, at most 3 × `lr`.
    """
    return lr * min(max(0.3 * expert_steps / n, 1.0), 3.0)


def for_length(rate: float, iterations: int, other: int) -> float:
    """Convert a rate derived for a run of `iterations` (`FIRST_STEPS`) to a run of `other`."""
    return rate if other == iterations else rounded(rate * math.sqrt(iterations / other))


@dataclass(frozen=True)
class InitialMatch:
    """How some segments of the window are matched before anything is learned.

    syn_lr: η, halved `halvings` times so that matching begins below `LARGEST_FIRST_LOSS`. loss: the
    mean over the segments; largest_loss: of one. relative_gradients: "images", "labels", "syn_lr" →
    the root mean square of the gradient, divided by the tensor's scale (`FIRST_STEPS`).
    """

    syn_lr: float
    halvings: int
    loss: float
    largest_loss: float
    relative_gradients: Mapping[str, float]


def rate_settings(
    iterations: int, match: InitialMatch, fixed: Mapping[str, Value]
) -> list[Derived]:
    """η, the learning rates of images, labels and η, and the threshold.

    fixed: values of keys that are not derived, which are left out.
    """
    derived = []
    if "syn_lr" not in fixed:
        halved = f", halved {match.halvings}× for a matching loss that begins lower"
        reason = "η at first: student steps that go about a third as far as the experts'"
        derived.append(Derived("syn_lr", match.syn_lr, reason + halved * (match.halvings > 0)))
    for key, (name, share, whole) in FIRST_STEPS.items():
        if key in fixed:
            continue
        wanted = share / math.sqrt(iterations)
        derived.append(
            Derived(
                key,
                rounded(wanted / match.relative_gradients[name])
                if match.relative_gradients[name] > 0
                else 0.0,
                f"the first step moves by {wanted:.2%} of {whole} ({share:g}/√iterations), by the "
                "gradients measured over the window",
            )
        )
    if "threshold" not in fixed:
        loss = match.largest_loss
        threshold = 1.0 if loss <= 1 else round(1.1 * loss, 2)
        derived.append(
            Derived(
                "threshold",
                threshold,
                f"matching begins at a loss of up to {loss:.2f}: "
                + ("the published 1.0" if threshold == 1.0 else "a tenth above it"),
            )
        )
    return derived
