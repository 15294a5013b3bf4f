"""How fast things are learned: η, the rates of images, labels and it, and the threshold."""

from __future__ import annotations

import math
from collections.abc import Mapping

from datm_engine.settings.derived.values import Derived, Value, rounded

STEP_OF_IMAGES, STEP_OF_LABELS, STEP_OF_RATE = 0.6, 0.02, 0.02
FITTING = 2.0  # the matching loss that images not yet learned should begin below, in the mean
HALVINGS = 3  # of η, for that
# What is learned by each of the rates that are derived as a first step of so much / √iterations,
# how much, and of what.
STEPPED = {
    "lr_images": ("images", STEP_OF_IMAGES, "the images' deviation"),
    "lr_labels": ("labels", STEP_OF_LABELS, "the logits' deviation"),
    "lr_lr": ("syn_lr", STEP_OF_RATE, "η"),
}


def student_rate(lr: float, expert_steps: int, n: int) -> float:
    """η at first, before anything is measured: N = `n` student steps go about a third as far as
    `expert_steps` of an expert at `lr`; within 1 and 3 times that."""
    return lr * min(max(0.3 * expert_steps / n, 1.0), 3.0)


def for_length(rate: float, iterations: int, other: int) -> float:
    """A derived one of the rates `STEPPED`, of a run of so many iterations, for one of `other`."""
    return rate if other == iterations else rounded(rate * math.sqrt(iterations / other))


def rates_for(
    iterations: int,
    syn_lr: float,
    halvings: int,
    steps: Mapping[str, float],
    loss: float,
    held: Mapping[str, Value],
) -> list[Derived]:
    """η, the rates at which images, labels and it are learned, and the threshold.

    syn_lr: η, halved `halvings` times so that matching begins below a loss of `FITTING`. steps:
    "images", "labels", "syn_lr" → how far a rate of 1 would move each in an iteration, as a share
    of its size, measured at the start. loss: the matching loss there, the largest of any segment.
    """
    told = []
    if "syn_lr" not in held:
        halved = f", halved {halvings}× for a matching loss that begins lower" * (halvings > 0)
        reason = f"η at first: student steps that go about a third as far as the experts'{halved}"
        told.append(Derived("syn_lr", syn_lr, reason))
    for key, (name, share, whole) in STEPPED.items():
        if key in held:
            continue
        wanted = share / math.sqrt(iterations)
        told.append(
            Derived(
                key,
                rounded(wanted / steps[name]) if steps[name] > 0 else 0.0,
                f"a step of {wanted:.2%} of {whole} at first, {share:g}/√iterations: by the "
                "gradients of segments over the window",
            )
        )
    if "threshold" not in held:
        threshold = 1.0 if loss <= 1 else round(1.1 * loss, 2)
        told.append(
            Derived(
                "threshold",
                threshold,
                f"matching begins at a loss of up to {loss:.2f}: "
                + ("the published 1.0" if threshold == 1.0 else "a tenth above it"),
            )
        )
    return told
