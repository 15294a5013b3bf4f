"""How experts are trained where no preset states it: by the number of training images."""

from __future__ import annotations

import math

from datm_engine.settings.derived.values import Derived, rounded

STEPS_OF_EPOCH = 20  # the fewest training steps of an epoch, where there are images enough
PUBLISHED_STEPS = 195  # of an epoch: 50,000 images in batches of 256
PUBLISHED_BATCH, PUBLISHED_LR, LARGEST_LR = 256, 0.01, 0.05
FEWEST_EXPERTS, MOST_EXPERTS = 8, 100


def experts_settings(images: int, iterations: int) -> list[Derived]:
    """batch, lr and count of [experts] for `images` training images and a run of `iterations`."""
    # The largest power of two, from 4 on, that leaves the steps that an epoch needs.
    batch = 2 ** max(2, math.floor(math.log2(max(1, images / STEPS_OF_EPOCH))))
    batch = min(batch, PUBLISHED_BATCH)
    steps = -(-images // batch)
    lr = min(max(PUBLISHED_LR * PUBLISHED_STEPS / steps, PUBLISHED_LR), LARGEST_LR)
    count = min(max(iterations // 100, FEWEST_EXPERTS), MOST_EXPERTS)
    return [
        Derived(
            "batch",
            batch,
            f"{steps} steps an epoch with {images:,} training images: at least {STEPS_OF_EPOCH} "
            f"wanted, and at most the published {PUBLISHED_BATCH} images a step",
        ),
        Derived(
            "lr",
            rounded(lr),
            f"the published {PUBLISHED_LR} is for {PUBLISHED_STEPS} steps an epoch; fewer steps "
            f"take a larger one, up to {LARGEST_LR}",
        ),
        Derived(
            "count",
            count,
            f"one for every 100 of {iterations:,} iterations, as published; "
            f"{FEWEST_EXPERTS} at least",
        ),
    ]
