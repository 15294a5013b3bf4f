"""Choose which training images are used and which are held out, class by class, from a seed."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from datm_engine.compute.runtime import generator
from datm_engine.data.class_counts import held_out
from datm_engine.data.image_sets import PartName
from datm_engine.settings.config import DatasetConfig


def split(
    labels: Tensor, settings: DatasetConfig, parts: Collection[PartName]
) -> tuple[Tensor, Tensor, Tensor]:
    """Return indices of the training images that are used, and of those that are held out as
    validation and as test part unless the dataset has these `parts`."""
    seed, count = settings.seed, settings.train_images
    is_tested = hold_out(labels, 0.0 if "test" in parts else settings.test, seed, "test images")
    used = (~is_tested).nonzero()[:, 0]
    if count != "all":
        used = used[choose(labels[used], count, seed)]
    validation = 0.0 if "validation" in parts else settings.validation
    is_held = hold_out(labels[used], validation, seed)
    return used[~is_held], used[is_held], is_tested.nonzero()[:, 0]


def counts_left(
    labels: NDArray[np.int64], settings: DatasetConfig, parts: Collection[PartName]
) -> NDArray[np.int64]:
    """Count the training images of each class that `split` leaves, int64 [classes]. labels: [n], of
    every class at least one."""
    used, _, _ = split(torch.from_numpy(labels), settings, parts)
    counts: NDArray[np.int64] = np.bincount(labels[used.numpy()], minlength=int(labels.max()) + 1)
    return counts


def choose(labels: Tensor, count: int, seed: int) -> Tensor:
    """Return indices of `count` images, ascending, as many of each class as far as there are."""
    draws = generator(seed, "training images")
    ranks = ranks_within_class(labels, draws)
    classes = int(labels.max()) + 1
    turns = torch.randperm(classes, generator=draws)  # [classes]: which classes get one more
    # The first image of every class, then the second of every class, and so forth.
    order = torch.argsort(ranks * classes + turns[labels])
    return order[:count].sort().values


def hold_out(labels: Tensor, share: float, seed: int, purpose: str = "validation images") -> Tensor:
    """Return which images are held out, bool [n]: that share of each class, at least one.

    A class with a single image keeps it for training. Each `purpose` has its own random draws.
    """
    if share == 0:
        return torch.zeros(len(labels), dtype=torch.bool)
    held = torch.from_numpy(held_out(torch.bincount(labels).numpy(), share))  # [classes]
    return ranks_within_class(labels, generator(seed, purpose)) < held[labels]


def ranks_within_class(labels: Tensor, draws: torch.Generator) -> Tensor:
    """Return each image's position, from 0, in a random order of its class: int64 [n]."""
    order = torch.randperm(len(labels), generator=draws)
    # [n]: image indices, sorted by class and in random order within a class.
    by_class = order[torch.argsort(labels[order], stable=True)]
    counts = torch.bincount(labels)
    starts = counts.cumsum(0) - counts
    ranks = torch.empty_like(order)
    ranks[by_class] = torch.arange(len(labels)) - starts[labels[by_class]]
    return ranks
