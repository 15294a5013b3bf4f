"""Trajectory matching: the distance between where a student trained on the synthetic set ends and
where an expert went, and its exact gradient with respect to images, labels and the student's rate.

The student takes N steps θ_{i+1} = θ_i − η g_i with g_i = ∇_θ ℓ(θ_i; a_i(x_{b_i}), y_{b_i}): the
loss ℓ of a mini-batch b_i of images x, augmented by a_i, and their labels y. The matching loss is

    L = ‖θ_N − θ*_{t+M}‖² / ‖θ*_t − θ*_{t+M}‖²,   θ_0 = θ*_t            (MTT eq. 3, DATM eq. 2)

with θ*_t an expert's weights after epoch t, and θ*_{t+M} those M epochs later.

Plain autograd through the student keeps the graph of every step. Here only the weights θ_0 … θ_N
are kept, and the way back builds the graphs again, one step at a time. Where memory allows, the
graphs of the last steps are kept too (`sharding`). With λ_i = ∂L/∂θ_i:

    λ_N = 2 (θ_N − θ*_{t+M}) / ‖θ*_t − θ*_{t+M}‖²
    s_i = ⟨λ_{i+1}, g_i⟩
    ∂L/∂x −= η ∂s_i/∂x      ∂L/∂y −= η ∂s_i/∂y      ∂L/∂η −= s_i
    λ_i = λ_{i+1} − η ∂s_i/∂θ

The result equals autograd's. TESLA's gradient is an approximation (Cui et al., ICML 2023): it takes
the θ_i as constants. Then θ_N = θ_0 − η Σ g_i depends on x through each g_i alone, and λ_i = λ_N
for every i: the last line loses its second term.

PAD (Li et al. 2024) matches a slice of the weights, the deeper layers: both norms of L run over
that slice. λ_N is zero outside of it; the earlier λ_i are not, because g_i depends on all weights.

`StepGradients` is the interface to g_i and the derivatives of s_i; `sharding.ShardedGradients`
implements it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

ALL_WEIGHTS = slice(None)


class StepGradients(Protocol):
    """The gradients of the steps of one student, which are numbered from 0. syn_lr: η, []."""

    @property
    def syn_lr(self) -> Tensor: ...

    def gradient(self, theta: Tensor, step: int) -> Tensor:
        """Return g_i = ∇_θ ℓ at θ_i = `theta`, [weights]."""

    def pullback(
        self, theta: Tensor, step: int, adjoint: Tensor, *, with_theta: bool = True
    ) -> Tensor | None:
        """Add −η ∂s_i/∂x, −η ∂s_i/∂y and −s_i to the sums for images, labels and rate, and return
        ∂s_i/∂θ, [weights]; None without `with_theta`.

        s_i = ⟨λ_{i+1}, g_i⟩ at θ_i = `theta`, with λ_{i+1} = `adjoint`.
        """


@dataclass(frozen=True)
class StudentTrajectory:
    """The weights of a student after each of its steps, and how far the last are from an expert's.

    weights: θ_0 … θ_N, each [weights]. target: θ*_{t+M}. matched_weights: the slice of the weights
    that the loss compares. loss: the matching loss, [].
    """

    weights: list[Tensor]
    target: Tensor
    matched_weights: slice
    loss: Tensor


def deepest_weights(size: int, share: float) -> slice:
    """Return the deepest `share` of `size` weights, which lie in the order of the layers; at least
    one. The slice may begin within a tensor: PAD's published code counts single weights too (its
    `depth_ratio` is 1 − `share`)."""
    return slice(size - max(1, round(share * size)), None)


@torch.no_grad()
def train_student(
    gradients: StepGradients,
    start: Tensor,
    target: Tensor,
    steps: int,
    matched_weights: slice = ALL_WEIGHTS,
) -> StudentTrajectory:
    """Take N = `steps` steps from `start` = θ*_t and compare with `target` = θ*_{t+M}.

    start, target: flat weights, [weights].
    """
    weights = [start]
    for i in range(steps):
        weights.append(weights[i] - gradients.syn_lr * gradients.gradient(weights[i], i))
    loss = matching_loss(start, weights[-1], target, matched_weights)
    return StudentTrajectory(weights, target, matched_weights, loss)


def matching_loss(start: Tensor, end: Tensor, target: Tensor, matched: slice) -> Tensor:
    """L = ‖θ_N − θ*_{t+M}‖² / ‖θ*_t − θ*_{t+M}‖², [], with θ_N = `end`."""
    return _squared_distance(end, target, matched) / _squared_distance(start, target, matched)


@torch.no_grad()
def backpropagate(
    gradients: StepGradients, student: StudentTrajectory, *, through_weights: bool = True
) -> None:
    """Add ∂L/∂images, ∂L/∂labels and ∂L/∂η to the sums of `gradients`, from the last step back.

    through_weights: False computes TESLA's approximation.
    """
    start, end, matched = student.weights[0], student.weights[-1], student.matched_weights
    adjoint = torch.zeros_like(end)  # λ_N, zero outside the matched slice
    away = end[matched] - student.target[matched]
    adjoint[matched] = 2 * away / _squared_distance(start, student.target, matched)
    for i in reversed(range(len(student.weights) - 1)):
        s_theta = gradients.pullback(student.weights[i], i, adjoint, with_theta=through_weights)
        if s_theta is not None:
            adjoint = adjoint - gradients.syn_lr * s_theta  # λ_i


def _squared_distance(theta: Tensor, target: Tensor, matched: slice) -> Tensor:
    """‖θ − θ*‖² over the matched weights."""
    return (theta[matched] - target[matched]).square().sum()
