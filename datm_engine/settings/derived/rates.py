"""Rules for learning rates: η, the rates of images, labels and η, and the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from datm_engine.settings.derived.values import Derived, Value, rounded

# Compared on digits: docs/unpublished.md.
STEP_OF_IMAGES, STEP_OF_LABELS, STEP_OF_RATE = 0.6, 0.02, 0.02
# η is halved, HALVINGS times at most, until the mean matching loss of the initial set is below
# FITTING.
FITTING, HALVINGS = 2.0, 3
# With each of these rates the first step moves what is learned by share / √iterations of its size:
# rate → (what is learned, share, that size in words).
STEPPED = {
    "lr_images": ("images", STEP_OF_IMAGES, "the images' deviation"),
    "lr_labels": ("labels", STEP_OF_LABELS, "the logits' deviation"),
    "lr_lr": ("syn_lr", STEP_OF_RATE, "η"),
}


def student_rate(lr: float, expert_steps: int, n: int) -> float:
    """η before anything is measured: the rate at which `n` student steps (N) go about a third as
    far as `expert_steps` of an expert at `lr`, clamped to 1 to 3 times `lr`."""
    return lr * min(max(0.3 * expert_steps / n, 1.0), 3.0)


def for_length(rate: float, iterations: int, other: int) -> float:
    """A derived rate (`STEPPED`) of a run of `iterations`, converted for a run of `other`."""
    return rate if other == iterations else rounded(rate * math.sqrt(iterations / other))


@dataclass(frozen=True)
class Fit:
    """How some segments of the window are matched before anything is learned.

    syn_lr: η, halved `halvings` times so that matching begins below a loss of `FITTING`. loss: the
    mean over the segments; largest_loss: of one. steps: "images", "labels", "syn_lr" → how far a
    learning rate of 1 moves each in an iteration, as a share of its size.
    """

    syn_lr: float
    halvings: int
    loss: float
    largest_loss: float
    steps: Mapping[str, float]


def rate_settings(iterations: int, fit: Fit, stated: Mapping[str, Value]) -> list[Derived]:
    """η, the learning rates of images, labels and η, and the threshold.

    stated: values that the user gave, whose keys are left out.
    """
    derived = []
    if "syn_lr" not in stated:
        halved = f", halved {fit.halvings}× for a matching loss that begins lower"
        reason = "η at first: student steps that go about a third as far as the experts'"
        derived.append(Derived("syn_lr", fit.syn_lr, reason + halved * (fit.halvings > 0)))
    for key, (name, share, whole) in STEPPED.items():
        if key in stated:
            continue
        wanted = share / math.sqrt(iterations)
        derived.append(
            Derived(
                key,
                rounded(wanted / fit.steps[name]) if fit.steps[name] > 0 else 0.0,
                f"a step of {wanted:.2%} of {whole} at first, {share:g}/√iterations: by the "
                "gradients of segments over the window",
            )
        )
    if "threshold" not in stated:
        loss = fit.largest_loss
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
