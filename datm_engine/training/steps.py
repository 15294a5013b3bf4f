"""One optimizer step on an augmented batch, as a function of tensors that can be compiled.

Nothing in a step waits for the device.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.networks.weights import FlatNetwork
from datm_engine.settings.config import ExpertsConfig
from datm_engine.training.losses import gradient_of, student_gradient
from datm_engine.training.optimizers import gsam_direction, sgd_step

# (θ, velocity, learning rate [], images, labels) → the next θ and velocity, and for an expert what
# was measured on the batch: [sum of the losses, number of correct images]
Step: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def expert_step(network: FlatNetwork, settings: ExpertsConfig) -> Step:
    """SGD or GSAM on the cross-entropy; labels are class numbers [b]."""

    def loss(theta: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(theta, images)  # [b, classes]
        mean = F.cross_entropy(logits, labels)
        correct = (logits.argmax(dim=1) == labels).sum()
        return mean, torch.stack([mean * len(labels), correct.to(mean)]).detach().float()

    loss_gradient = gradient_of(loss)

    def step(
        theta: Tensor, velocity: Tensor, rate: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, ...]:
        measured: list[Tensor] = []

        def gradient(at: Tensor) -> Tensor:
            g, measures = loss_gradient(at, images, labels)
            measured.append(measures)
            return g

        if settings.optimizer == "gsam":
            direction = gsam_direction(theta, gradient, rho=settings.rho, alpha=settings.alpha)
        else:
            direction = gradient(theta)
        momentum, decay = settings.momentum, settings.weight_decay
        # GSAM measures twice; the first time is at θ itself.
        return *sgd_step(theta, direction, velocity, rate, momentum, decay), measured[0]

    return step


def evaluation_step(
    network: FlatNetwork, momentum: float, weight_decay: float, *, mirrored: bool = False
) -> Step:
    """SGD on the soft cross-entropy; labels are logits [b, classes]. mirrored: on each image and
    its mirror image."""
    gradient = student_gradient(network, mirrored=mirrored)

    def step(
        theta: Tensor, velocity: Tensor, rate: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, ...]:
        direction = gradient(theta, images, labels)
        return sgd_step(theta, direction, velocity, rate, momentum, weight_decay)

    return step
