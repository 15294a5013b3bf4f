"""Optimizers on one flat vector of weights, SGD (MTT) and GSAM towards flat minima (FTD), and the
steps by them: one step is a function of tensors, which can be compiled.

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

# (θ, velocity, learning rate [], images, labels) → the next θ and velocity, and for an expert what
# was measured on the batch: [sum of the losses, number of correct images]
Step: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor, Tensor], tuple[Tensor, ...]]


def sgd_step(
    theta: Tensor,
    direction: Tensor,
    velocity: Tensor,
    lr: float | Tensor,
    momentum: float = 0.0,
    weight_decay: float = 0.0,
) -> tuple[Tensor, Tensor]:
    """v ← momentum · v + (d + weight_decay · θ), θ ← θ − lr · v. Return the next weights and
    velocity; the first velocity is zeros. No argument is changed.

    Source: torch.optim.SGD without dampening or Nesterov.
    """
    if weight_decay:
        direction = direction + weight_decay * theta
    if momentum:
        velocity = direction = momentum * velocity + direction
    return theta - lr * direction, velocity


def gsam_direction(
    theta: Tensor, gradient: Callable[[Tensor], Tensor], *, rho: float, alpha: float
) -> Tensor:
    """The direction of adaptive, surrogate-gap guided sharpness-aware minimization.

    `gradient` is evaluated twice, on the same batch, at θ and at θ + e with
    e = ρ θ² g₀ / (‖|θ| g₀‖ + 1e-12). The direction is g₁ less α times the part of g₀ that is
    orthogonal to g₁. Norms and inner products run over all weights.
    Source: GSAM (Zhuang et al. 2022) with ASAM's scaling, as FTD (Du et al. 2023) trains experts.
    """
    g0 = gradient(theta)
    ascent = rho * theta.square() * g0 / ((theta.abs() * g0).norm() + 1e-12)
    g1 = gradient(theta + ascent)
    along = g1 * (torch.dot(g0, g1) / (torch.dot(g1, g1) + 1e-12))  # g₀'s part along g₁
    return g1 - alpha * (g0 - along)


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
