"""Optimizers on one flat vector of weights: SGD (MTT), and GSAM towards flat minima (FTD)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


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
