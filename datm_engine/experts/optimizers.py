"""How experts descend: plain SGD (MTT), or adaptive GSAM towards flat trajectories (FTD)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Gradient = Callable[[Tensor], Tensor]


class Descent:
    """SGD on one flat vector: v ← momentum · v + (d + weight_decay · θ), θ ← θ − lr · v.

    Source: torch.optim.SGD, first step v = d, no dampening, no Nesterov.
    """

    def __init__(self, lr: float, momentum: float = 0.0, weight_decay: float = 0.0) -> None:
        self.lr, self.momentum, self.weight_decay = lr, momentum, weight_decay
        self.velocity: Tensor | None = None

    def step(self, theta: Tensor, direction: Tensor) -> Tensor:
        """The next weights; neither argument is changed."""
        if self.weight_decay:
            direction = direction + self.weight_decay * theta
        if self.momentum:
            if self.velocity is not None:
                direction = self.momentum * self.velocity + direction
            self.velocity = direction
        return theta - self.lr * direction


def gsam_direction(theta: Tensor, gradient: Gradient, *, rho: float, alpha: float) -> Tensor:
    """The direction of adaptive, surrogate-gap guided sharpness-aware minimisation.

    `gradient` is evaluated twice, on the same batch, at θ and at θ + e with
    e = ρ θ² g₀ / (‖|θ| g₀‖ + 1e-12); the direction is g₁ less α times the part of g₀ that is
    orthogonal to g₁. Norms and inner products run over all weights.
    Source: GSAM (Zhuang et al. 2022) with ASAM's scaling, as FTD (Du et al. 2023) trains experts.
    """
    g0 = gradient(theta)
    ascent = rho * theta.square() * g0 / ((theta.abs() * g0).norm() + 1e-12)
    g1 = gradient(theta + ascent)
    along = g1 * (torch.dot(g0, g1) / (torch.dot(g1, g1) + 1e-12))
    return g1 - alpha * (g0 - along)
