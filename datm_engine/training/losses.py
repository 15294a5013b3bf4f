"""The loss of soft labels, and gradients of losses with respect to flat weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.networks.weights import FlatNetwork

# (θ [weights], images [b, channels, height, width], labels) → ∇_θ of a loss, [weights]
Gradient: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]


def hard_labels(classes: Tensor, count: int) -> Tensor:
    """Class numbers [n] → logits [n, count] whose softmax is exactly one-hot. With them, the soft
    cross-entropy is the plain one (MTT)."""
    return 1000.0 * F.one_hot(classes, count).float()


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean over the batch of −Σ softmax(labels) · log_softmax(logits). Both: [n, classes]."""
    return -(labels.softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1).mean()


def student_gradient(network: FlatNetwork, *, mirrored: bool = False) -> Gradient:
    """(θ, x, y) → ∇_θ ℓ(θ; x, y), with ℓ the soft cross-entropy of an augmented batch. mirrored:
    of the batch together with its mirror image, under the same labels."""

    def loss(theta: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        if mirrored:  # [2b, channels, height, width]
            images, labels = torch.cat((images, images.flip(-1))), torch.cat((labels, labels))
        value = soft_cross_entropy(network(theta, images), labels)
        return value, value.detach()

    gradient = gradient_of(loss)
    return lambda theta, images, labels: gradient(theta, images, labels)[0]


def gradient_of(
    loss: Callable[..., tuple[Tensor, Tensor]],
) -> Callable[..., tuple[Tensor, Tensor]]:
    """Turn `loss(theta, *given)` → (scalar, aux) into (∇_θ scalar, aux) of the same arguments. The
    gradient has a graph of its own where `theta` requires grad and grad mode is on."""
    # A compiler can trace torch.func.grad but not autograd.grad; uncompiled, the latter is faster
    # by a quarter.
    traced = torch.func.grad(loss, has_aux=True)

    def gradient(theta: Tensor, *given: Tensor) -> tuple[Tensor, Tensor]:
        if torch.compiler.is_compiling():
            return traced(theta, *given)
        differentiable = torch.is_grad_enabled() and theta.requires_grad
        with torch.enable_grad():
            theta = theta if differentiable else theta.detach().requires_grad_()
            scalar, aux = loss(theta, *given)
            (g,) = torch.autograd.grad(scalar, theta, create_graph=differentiable)
        return g, aux

    return gradient
