"""Train a fresh network on a small set, by the published protocol.

Epochs 0 … E; SGD with momentum and weight decay; the rate falls to a tenth, and the momentum is
forgotten, after epoch E // 2 + 1; one augmentation drawn for every batch; the last epoch counts.
Source: MTT's and DATM's published evaluation (E = 1000, momentum 0.9, weight decay 5e-4, batch
128).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import augment, draw
from datm_engine.distillation.matching import student_gradient
from datm_engine.networks.weights import FlatNetwork
from datm_engine.training.optimizers import sgd_step

# (θ, velocity, rate, images, labels) → the next θ and velocity
TrainingStep: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Material:
    """What a network is trained on: `labels` are logits [n, classes]."""

    name: str
    images: Tensor
    labels: Tensor
    lr: float
    epochs: int


@dataclass(frozen=True)
class Schedule:
    """`epochs` is E: epoch numbers run from 0 to E, both included."""

    epochs: int
    lr: float
    batch: int

    @property
    def decay_after(self) -> int:
        """The last epoch at the full rate."""
        return self.epochs // 2 + 1

    def rate(self, epoch: int) -> float:
        return self.lr if epoch <= self.decay_after else 0.1 * self.lr


def training_step(
    network: FlatNetwork, momentum: float, weight_decay: float, *, mirrored: bool = False
) -> TrainingStep:
    """One step of SGD on a batch as it was augmented, or on that and its mirror image; labels are
    logits, the rate is a scalar tensor."""
    gradient = student_gradient(network, mirrored=mirrored)

    def step(
        theta: Tensor, velocity: Tensor, rate: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        return sgd_step(
            theta, gradient(theta, images, labels), velocity, rate, momentum, weight_decay
        )

    return step


def train(
    step: TrainingStep,
    theta: Tensor,
    images: Tensor,
    labels: Tensor,
    schedule: Schedule,
    augmentation: Sequence[str],
    seed: int,
    after_epoch: Callable[[int], None],
) -> Tensor:
    """Return the weights; `after_epoch` is called with each epoch's number when it is done.

    theta: flat weights to start from; images: [n, channels, height, width] as the network sees
    them; labels: [n, classes] logits.
    """
    velocity = torch.zeros_like(theta)
    for epoch in range(schedule.epochs + 1):
        if epoch == schedule.decay_after + 1:
            velocity = torch.zeros_like(theta)
        rate = torch.tensor(schedule.rate(epoch), dtype=theta.dtype, device=theta.device)
        draws = generator(seed, "evaluation epoch", epoch)
        order = torch.randperm(len(images), generator=draws).to(images.device)
        batches = order.split(schedule.batch)
        sizes = [len(batch) for batch in batches]
        augmentations = draw(augmentation, sizes, draws, images.device)
        for batch, augmented in zip(batches, augmentations, strict=True):
            seen = augment(images[batch], augmented)
            theta, velocity = step(theta, velocity, rate, seen, labels[batch])
        after_epoch(epoch)
    return theta
