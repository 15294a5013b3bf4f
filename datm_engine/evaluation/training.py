"""Train a fresh network on a small set, by the published protocol.

Epochs 0 … E; SGD with momentum and weight decay; the rate falls to a tenth, and the momentum is
forgotten, after epoch E // 2 + 1; one augmentation drawn for every batch; the last epoch counts.
Source: MTT's and DATM's published evaluation (E = 1000, momentum 0.9, weight decay 5e-4, batch
128).
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.data.augmentation import augment, draw
from datm_engine.distillation.matching import gradient
from datm_engine.experts.optimizers import Descent
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runtime import generator


@dataclass(frozen=True)
class Schedule:
    """`epochs` is E: epoch numbers run from 0 to E, both included."""

    epochs: int
    lr: float
    batch: int
    momentum: float
    weight_decay: float

    @property
    def decay_after(self) -> int:
        """The last epoch at the full rate."""
        return self.epochs // 2 + 1

    def rate(self, epoch: int) -> float:
        return self.lr if epoch <= self.decay_after else 0.1 * self.lr


def train(
    network: FlatNetwork,
    images: Tensor,
    labels: Tensor,
    schedule: Schedule,
    augmentation: Sequence[str],
    seed: int,
) -> Generator[int, None, Tensor]:
    """Yields each epoch's number when it is done; returns the weights.

    images: [n, channels, height, width] as the network sees them; labels: [n, classes] logits.
    """
    theta = network.initial()
    descent = Descent(schedule.lr, schedule.momentum, schedule.weight_decay)
    for epoch in range(schedule.epochs + 1):
        if epoch == schedule.decay_after + 1:
            descent = Descent(schedule.rate(epoch), schedule.momentum, schedule.weight_decay)
        draws = generator(seed, "evaluation epoch", epoch)
        batches = torch.randperm(len(images), generator=draws).split(schedule.batch)
        augmentations = draw(augmentation, [len(batch) for batch in batches], draws)
        for batch, augmented in zip(batches, augmentations, strict=True):
            indices = batch.to(images.device)
            seen = augment(images[indices], augmented)
            theta = descent.step(theta, gradient(network, theta, seen, labels[indices]))
        yield epoch
    return theta
