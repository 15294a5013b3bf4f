"""The plain way to train an expert: an nn.Module, torch.optim.SGD, a DataLoader, and
differentiable augmentation whose matrices are built image by image, as published code does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.data import DataLoader, TensorDataset

from datm_engine.data.augmentation import color, crop, cutout, flip

OPERATIONS = ("color", "crop", "cutout", "flip", "scale", "rotate")


def augment(images: Tensor) -> Tensor:
    """One of the six operations, drawn for the batch."""
    operation = random.choice(OPERATIONS)
    uniform = torch.rand(len(images), 3)
    match operation:
        case "color":
            return color(images, uniform)
        case "crop":
            return crop(images, uniform)
        case "cutout":
            return cutout(images, uniform)
        case "flip":
            return flip(images, uniform)
        case "scale":
            return _sampled(images, [_scale(u) for u in uniform])
    return _sampled(images, [_rotation(u) for u in uniform])


def _scale(u: Tensor) -> list[list[float]]:
    x, y = (float(part) * (1.2 - 1 / 1.2) + 1 / 1.2 for part in u[:2])
    return [[x, 0.0, 0.0], [0.0, y, 0.0]]


def _rotation(u: Tensor) -> list[list[float]]:
    angle = (float(u[0]) - 0.5) * 2 * 15 * math.pi / 180
    return [
        [math.cos(angle), -math.sin(angle), 0.0],
        [math.sin(angle), math.cos(angle), 0.0],
    ]


def _sampled(images: Tensor, matrices: list[list[list[float]]]) -> Tensor:
    grid = F.affine_grid(torch.tensor(matrices), list(images.shape), align_corners=True)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=True)


def epochs(
    module: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    batch: int,
    lr: float,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> Iterator[float]:
    """Trains the module for ever; yields each batch's loss. labels: classes or logits."""
    optimizer = torch.optim.SGD(
        module.parameters(), lr=lr, momentum=momentum, weight_decay=weight_decay
    )
    loader = DataLoader(TensorDataset(images, labels), batch_size=batch, shuffle=True)
    while True:
        for seen, wanted in loader:
            target = wanted.softmax(dim=1) if wanted.is_floating_point() else wanted
            loss = F.cross_entropy(module(augment(seen)), target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            yield loss.item()
