"""Real images to compare a distilled set with."""

from __future__ import annotations

from datm_engine.data.prepared import Part
from datm_engine.distillation.initialization import random_images


def random_subset(train: Part, classes: int, ipc: int, seed: int) -> Part:
    """`ipc` random images of each class, or all that a smaller class has."""
    indices = random_images(train.labels, classes, ipc, seed).indices.to(train.images.device)
    return Part(train.images[indices], train.labels[indices])
