"""Which training images are used and which are held out: class by class, repeatably."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor

from datm_engine.compute.runtime import generator


def split(
    labels: Tensor,
    *,
    train_images: int | Literal["all"],
    validation: float,
    test: float,
    seed: int,
    has_validation: bool,
    has_test: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    """Indices of the training images that are used, and of those that are held out as the
    validation and the test part, where the dataset has no such part."""
    is_tested = hold_out(labels, 0.0 if has_test else test, seed, "test images")
    used = (~is_tested).nonzero()[:, 0]
    if train_images != "all":
        used = used[choose(labels[used], train_images, seed)]
    is_held = hold_out(labels[used], 0.0 if has_validation else validation, seed)
    return used[~is_held], used[is_held], is_tested.nonzero()[:, 0]


def choose(labels: Tensor, count: int, seed: int) -> Tensor:
    """Indices of `count` images, ascending, with as equal a share a class as there are images."""
    draws = generator(seed, "training images")
    ranks = ranks_within_class(labels, draws)
    classes = int(labels.max()) + 1
    turns = torch.randperm(classes, generator=draws)  # who gets the images left over
    order = torch.argsort(ranks * classes + turns[labels])
    return order[:count].sort().values


def hold_out(labels: Tensor, share: float, seed: int, purpose: str = "validation images") -> Tensor:
    """Which images are held out, as booleans [n]: that share of each class, at least one of it.

    A class with a single image keeps it for training. Each `purpose` has draws of its own.
    """
    if share == 0:
        return torch.zeros(len(labels), dtype=torch.bool)
    counts = torch.bincount(labels)
    held = (counts * share).round().long().clamp_min(1).minimum(counts - 1)
    return ranks_within_class(labels, generator(seed, purpose)) < held[labels]


def ranks_within_class(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Each image's place, from 0, in a random order of its class; [n], int64."""
    order = torch.randperm(len(labels), generator=draws)
    by_class = order[torch.argsort(labels[order], stable=True)]
    counts = torch.bincount(labels)
    starts = counts.cumsum(0) - counts
    ranks = torch.empty_like(order)
    ranks[by_class] = torch.arange(len(labels)) - starts[labels[by_class]]
    return ranks
