"""The plain way: autograd through the whole unrolled student. The thing to agree with and beat."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from datm_engine.data.augmentation import augment
from datm_engine.distillation.batches import Step
from datm_engine.networks.weights import FlatNetwork
from datm_engine.training.losses import soft_cross_entropy


def unrolled_gradient(
    network: FlatNetwork,
    start: Tensor,
    target: Tensor,
    images: Tensor,
    labels: Tensor,
    syn_lr: Tensor,
    steps: Sequence[Step],
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The loss, and its gradients in images, labels and syn_lr, with every step's graph kept."""
    images, labels, syn_lr = (t.detach().requires_grad_() for t in (images, labels, syn_lr))
    theta = start.detach().requires_grad_()
    for step in steps:
        augmented = augment(images[step.indices], step.draw)
        loss = soft_cross_entropy(network(theta, augmented), labels[step.indices])
        (g,) = torch.autograd.grad(loss, theta, create_graph=True)
        theta = theta - syn_lr * g
    matching_loss = (theta - target).square().sum() / (start - target).square().sum()
    found = torch.autograd.grad(matching_loss, (images, labels, syn_lr))
    return matching_loss.detach(), *found
