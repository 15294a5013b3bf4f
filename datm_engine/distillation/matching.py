"""The heart: how far a student trained on the synthetic set ends from where an expert went,
and the exact gradient of that with respect to images, labels and the student's rate.

The student takes N steps θ_{i+1} = θ_i − η g_i with g_i = ∇_θ ℓ(θ_i; a_i(x_{b_i}), y_{b_i}),
and the loss is L = ‖θ_N − θ*_{t+M}‖² / ‖θ_0 − θ*_{t+M}‖² (MTT eq. 3, DATM eq. 2).

Plain autograd through the student keeps every step's graph. Here the N weight vectors are kept
and each step's graph is rebuilt on the way back, one at a time. With λ_i = ∂L/∂θ_i:

    λ_N = 2 (θ_N − θ*) / ‖θ_0 − θ*‖²
    s_i = ⟨λ_{i+1}, g_i⟩
    ∂L/∂x_{b_i} −= η ∂s_i/∂x      ∂L/∂y_{b_i} −= η ∂s_i/∂y      ∂L/∂η −= s_i
    λ_i = λ_{i+1} − η ∂s_i/∂θ

This is the same gradient, not an approximation of it (TESLA drops the last line's second term).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.data.augmentation import Draw, augment
from datm_engine.networks.weights import FlatNetwork


@dataclass(frozen=True)
class Step:
    """One student step: which synthetic images, and how they are augmented."""

    indices: Tensor
    draw: Draw


@dataclass(frozen=True)
class Student:
    """A student that has been trained: its weights θ_0 … θ_N, and its distance to the target."""

    weights: list[Tensor]
    loss: Tensor


@dataclass(frozen=True)
class MetaGradient:
    """∂L/∂images, ∂L/∂labels (logits) and ∂L/∂η, of the shapes of these."""

    images: Tensor
    labels: Tensor
    syn_lr: Tensor


def hard_labels(classes: Tensor, count: int) -> Tensor:
    """Class numbers [n] → logits [n, count] whose softmax is exactly one-hot. Not learned, these
    make ℓ the plain cross-entropy (MTT)."""
    return 1000.0 * F.one_hot(classes, count).float()


def soft_cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """ℓ: mean over the batch of −Σ softmax(labels) · log_softmax(logits). Both: [n, classes]."""
    return -(labels.softmax(dim=1) * logits.log_softmax(dim=1)).sum(dim=1).mean()


def gradient(network: FlatNetwork, theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
    """g = ∇_θ ℓ; labels are logits."""
    theta = theta.detach().requires_grad_()
    (g,) = torch.autograd.grad(soft_cross_entropy(network(theta, images), labels), theta)
    return g


def train_student(
    network: FlatNetwork,
    start: Tensor,
    target: Tensor,
    images: Tensor,
    labels: Tensor,
    syn_lr: Tensor,
    steps: Sequence[Step],
) -> Student:
    """The way forward, without a graph. start, target: flat weights θ*_t and θ*_{t+M}."""
    with torch.no_grad():
        weights = [start]
        for step in steps:
            augmented = augment(images[step.indices], step.draw)
            with torch.enable_grad():
                g = gradient(network, weights[-1], augmented, labels[step.indices])
            weights.append(weights[-1] - syn_lr * g)
        loss = (weights[-1] - target).square().sum() / (start - target).square().sum()
    return Student(weights, loss)


def meta_gradient(
    network: FlatNetwork,
    student: Student,
    target: Tensor,
    images: Tensor,
    labels: Tensor,
    syn_lr: Tensor,
    steps: Sequence[Step],
) -> MetaGradient:
    """The way back, in the memory of one step. The arguments are those of `train_student`."""
    start, end = student.weights[0], student.weights[-1]
    adjoint = 2 * (end - target) / (start - target).square().sum()
    images_bar, labels_bar = torch.zeros_like(images), torch.zeros_like(labels)
    syn_lr_bar = torch.zeros_like(syn_lr)

    for step, theta in zip(reversed(steps), reversed(student.weights[:-1]), strict=True):
        s, s_theta, s_images, s_labels = sensitivity(
            network, theta, images[step.indices], labels[step.indices], step.draw, adjoint
        )
        images_bar.index_add_(0, step.indices, -syn_lr * s_images)
        labels_bar.index_add_(0, step.indices, -syn_lr * s_labels)
        syn_lr_bar -= s
        adjoint = adjoint - syn_lr * s_theta
    return MetaGradient(images_bar, labels_bar, syn_lr_bar)


def sensitivity(
    network: FlatNetwork, theta: Tensor, images: Tensor, labels: Tensor, draw: Draw, adjoint: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """s = ⟨λ, ∇_θ ℓ(θ; a(images), labels)⟩ and its derivatives in θ, images and labels."""
    theta, images, labels = (t.detach().requires_grad_() for t in (theta, images, labels))
    augmented = augment(images, draw)
    loss = soft_cross_entropy(network(theta, augmented), labels)
    (g,) = torch.autograd.grad(loss, theta, create_graph=True)
    s = torch.dot(adjoint, g)
    s_theta, s_images, s_labels = torch.autograd.grad(s, (theta, images, labels))
    return s.detach(), s_theta, s_images, s_labels
