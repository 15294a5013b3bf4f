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

This is the same gradient, not an approximation of it. TESLA's is one (Cui et al., ICML 2023): with
the θ_i taken as given, θ_N = θ_0 − η Σ g_i depends on x_{b_i} through g_i alone, and λ_i = λ_N
throughout. Beside the exact one it wants the last line's second term.

Three ideas published after DATM change this; the gradient is exact for each. With `first` above 0
both norms of L run over the weights from there on (PAD, Li et al. 2024): λ_N is zero before it,
λ_i for i < N is not, since g_i depends on all weights. With `nearest` the student ends at the step
i ≥ 1 that is nearest to the target (ATT, Liu et al., ECCV 2024), and N is that i. If `mirrored`,
each g_i is that of a batch together with its mirror image (FYI, Son et al., ECCV 2024).

Graphs that fit the memory one has may be kept on the way forward instead, from the last step on;
each spares its rebuilding, a quarter of the step's arithmetic.

ℓ is a mean over the batch, so g_i and the derivatives of s_i are sums over pieces of it, each with
a graph of its own: `Division` says which pieces there are, on this rank and all others, and adds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datm_engine.data.augmentation import Draw, augment
from datm_engine.distillation.sharding import WHOLE, Division
from datm_engine.training.losses import Gradient


@dataclass(frozen=True)
class Step:
    """One student step: which synthetic images, and how they are augmented; or a piece of one,
    with `share` n_j/n of its batch."""

    indices: Tensor
    draw: Draw
    share: float = 1.0

    def share_of(self, tensor: Tensor) -> Tensor:
        return tensor if self.share == 1 else self.share * tensor


@dataclass(frozen=True)
class Graph:
    """g_i of a step, or of a piece of one, with its graph; that ends at the leaves θ_i, x_{b_i} and
    y_{b_i}."""

    g: Tensor
    leaves: tuple[Tensor, Tensor, Tensor]


@dataclass(frozen=True)
class Student:
    """A student that has been trained: its weights θ_0 … θ_N, its distance to the target, and
    the graphs of its last steps that were kept, piece by piece. `first`: the first weight that is
    compared."""

    weights: list[Tensor]
    loss: Tensor
    graphs: list[list[Graph]] = field(default_factory=list)
    first: int = 0

    @property
    def steps(self) -> int:
        """N, or how many of the N steps it took to where it ends."""
        return len(self.weights) - 1


@dataclass(frozen=True)
class MetaGradient:
    """∂L/∂images, ∂L/∂labels (logits) and ∂L/∂η, of the shapes of these."""

    images: Tensor
    labels: Tensor
    syn_lr: Tensor


def first_matched(size: int, share: float) -> int:
    """Where the deepest `share` of `size` weights begins, which lie in the order of the layers; at
    least one weight is matched. It may be within a layer, even within a tensor: single weights are
    counted, as PAD's published code counts them (its `depth_ratio` is 1 − `share`)."""
    return size - max(1, round(share * size))


@torch.no_grad()
def train_student(
    gradient: Gradient,
    start: Tensor,
    target: Tensor,
    images: Tensor,
    labels: Tensor,
    syn_lr: Tensor,
    steps: Sequence[Step],
    keep: int = 0,
    division: Division = WHOLE,
    *,
    first: int = 0,
    nearest: bool = False,
) -> Student:
    """The way forward. start, target: flat weights θ*_t and θ*_{t+M}; `keep`: of how many last
    steps the graphs are kept, of those up to its end. Raises OutOfMemory."""
    weights, graphs = [start], list[list[Graph]]()

    def g_of(step: Step, theta: Tensor, kept: list[Graph] | None) -> Iterator[Tensor]:
        for piece in division.pieces(step):
            if kept is None:
                augmented = augment(images[piece.indices], piece.draw)
                g = gradient(theta, augmented, labels[piece.indices])
            else:
                kept.append(build_graph(gradient, theta, images, labels, piece))
                g = kept[-1].g
            yield piece.share_of(g)

    for i, step in enumerate(steps):
        kept = None if i < len(steps) - keep else list[Graph]()
        g = division.sum(g_of(step, weights[-1], kept), like=start)
        weights.append(weights[-1] - syn_lr * g)
        if kept is not None:
            graphs.append(kept)
    division.settle()
    if nearest:
        end = _nearest(weights, target, first)
        del graphs[max(0, end - len(steps) + len(graphs)) :], weights[end + 1 :]
    loss = _distance(weights[-1], target, first) / _distance(start, target, first)
    return Student(weights, loss, graphs, first)


def _distance(theta: Tensor, target: Tensor, first: int) -> Tensor:
    """‖θ − θ*‖² over the weights from `first` on."""
    return (theta[first:] - target[first:]).square().sum()


def _nearest(weights: Sequence[Tensor], target: Tensor, first: int) -> int:
    """The step i ≥ 1 after which θ_i is nearest to the target, the first one of several. What has
    diverged is not near. It is the same step on all ranks: the weights are the same bits."""
    distances = torch.stack([_distance(theta, target, first) for theta in weights[1:]])
    return 1 + int(distances.nan_to_num(nan=torch.inf).argmin())


@torch.no_grad()
def meta_gradient(
    gradient: Gradient,
    student: Student,
    target: Tensor,
    images: Tensor,
    labels: Tensor,
    syn_lr: Tensor,
    steps: Sequence[Step],
    division: Division = WHOLE,
    *,
    exact: bool = True,
) -> MetaGradient:
    """The way back, from where the student ends. The arguments are those of `train_student`; the
    student's graphs are used up, so that their memory is free as soon as it can be. Not `exact`:
    TESLA's approximation."""
    start, end, first = student.weights[0], student.weights[-1], student.first
    adjoint = 2 * (end - target) / _distance(start, target, first)
    adjoint[:first] = 0
    images_bar, labels_bar = torch.zeros_like(images), torch.zeros_like(labels)
    syn_lr_bar = torch.zeros_like(syn_lr)

    def s_theta_of(step: Step, theta: Tensor, kept: list[Graph]) -> Iterator[Tensor]:
        """∂s_i/∂θ, if it is wanted; the other derivatives are added where they belong."""
        for piece in division.pieces(step):
            graph = kept.pop(0) if kept else build_graph(gradient, theta, images, labels, piece)
            towards, leaves = piece.share_of(adjoint), graph.leaves if exact else graph.leaves[1:]
            syn_lr_bar.sub_(torch.dot(towards, graph.g))
            *s_theta, s_images, s_labels = torch.autograd.grad(graph.g, leaves, towards)
            images_bar.index_add_(0, piece.indices, -syn_lr * s_images)
            labels_bar.index_add_(0, piece.indices, -syn_lr * s_labels)
            yield from s_theta

    for step, theta in zip(
        reversed(steps[: student.steps]), reversed(student.weights[:-1]), strict=True
    ):
        terms = s_theta_of(step, theta, student.graphs.pop() if student.graphs else [])
        if exact:
            adjoint = adjoint - syn_lr * division.sum(terms, like=theta)
        else:
            division.local(terms)
    division.settle()
    # What each rank has of these is its own images' part, so that once an iteration is enough.
    return MetaGradient(*map(division.ranks.sum, (images_bar, labels_bar, syn_lr_bar)))


def build_graph(
    gradient: Gradient, theta: Tensor, images: Tensor, labels: Tensor, step: Step
) -> Graph:
    """g_i with its graph, of a step or a piece of one; images and labels are the whole set's."""
    parts = (theta, images[step.indices], labels[step.indices])
    theta, batch, batch_labels = (t.detach().requires_grad_() for t in parts)
    with torch.enable_grad():
        g = gradient(theta, augment(batch, step.draw), batch_labels)
    return Graph(g, (theta, batch, batch_labels))
