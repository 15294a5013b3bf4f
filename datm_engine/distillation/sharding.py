"""How the gradients of student steps are computed: in pieces, over ranks, with some graphs kept.

ℓ is a mean over the mini-batch. If its n images are divided into pieces of n_j images, then
g_i = Σ_j (n_j/n) g_ij, and s_i and its derivatives are such sums too. Each piece has a graph of
its own. Another order of summation rounds differently; nothing else changes.

A graph that was kept on the way forward need not be built again on the way back: that saves a
quarter of the step's multiply-adds, 3 of about 12 forward passes' worth (3 forward, 3 to build the
graph again, 6 for the derivatives of s_i).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datm_engine.compute.memory_errors import OutOfMemory, translate_oom
from datm_engine.compute.ranks import ALONE, Ranks
from datm_engine.data.augmentation import augment
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.training.losses import Gradient


@dataclass(frozen=True)
class Sharding:
    """Divides each mini-batch equally over the ranks, and the share of a rank into equal pieces of
    at most `piece_size` images; None: one piece."""

    ranks: Ranks = ALONE
    piece_size: int | None = None

    def pieces(self, step: Step) -> list[Step]:
        """The pieces of this rank; none where there are more ranks than images. Over all ranks the
        `share` of the pieces add up to 1."""
        own = step.indices.tensor_split(self.ranks.count)[self.ranks.rank]
        count = 1 if self.piece_size is None else max(1, -(-len(own) // self.piece_size))
        if self.ranks.count == count == 1:
            return [step]
        # The augmentation's draws are split as the images are.
        uniform = step.draw.uniform.tensor_split(self.ranks.count)[self.ranks.rank]
        slices = zip(own.tensor_split(count), uniform.tensor_split(count), strict=True)
        return [
            Step(indices, replace(step.draw, uniform=drawn), len(indices) / len(step.indices))
            for indices, drawn in slices
            if len(indices)
        ]

    def largest_piece(self, batch: int) -> int:
        """Images of the largest piece of a mini-batch of `batch` images, on any rank."""
        share = -(-batch // self.ranks.count)
        return share if self.piece_size is None else -(-share // -(-share // self.piece_size))


WHOLE = Sharding()


@dataclass(frozen=True)
class Graph:
    """g_i of a piece with its graph, which ends at the leaves θ_i, x_{b_i} and y_{b_i}."""

    g: Tensor
    leaves: tuple[Tensor, Tensor, Tensor]


def build_graph(loss_gradient: Gradient, theta: Tensor, learned: Learned, piece: Step) -> Graph:
    """Compute g_i of a piece with its graph. theta: [weights]; learned: the whole set."""
    parts = (theta, learned.images[piece.indices], learned.labels[piece.indices])
    theta, images, labels = (tensor.detach().requires_grad_() for tensor in parts)
    with torch.enable_grad():
        g = loss_gradient(theta, augment(images, piece.draw), labels)
    return Graph(g, (theta, images, labels))


class ShardedGradients:
    """The gradients of the steps of one student, for one iteration: a `matching.StepGradients`.

    A context manager. When it is left, `total` becomes the sum over the ranks of ∂L/∂images,
    ∂L/∂labels and ∂L/∂η; within, each rank has the part of its own images. A rank that runs out of
    memory adds zeros from there on, so that the others do not wait for it; `check_memory`, and
    leaving, raise OutOfMemory on all ranks then. With one rank it is raised at once.

    kept: the last `kept` steps keep their graphs for the way back. graphs: step → its kept graphs.
    """

    def __init__(
        self,
        loss_gradient: Gradient,
        learned: Learned,
        steps: Sequence[Step],
        sharding: Sharding = WHOLE,
        kept: int = 0,
    ) -> None:
        self._loss_gradient, self._learned, self._steps = loss_gradient, learned, steps
        self._sharding, self._first_kept = sharding, len(steps) - kept
        self.graphs: dict[int, list[Graph]] = {}  # of the pieces of each step that is kept
        self._ran_out = self._pulled_back = False
        self.total = learned.map(torch.zeros_like)

    def __enter__(self) -> ShardedGradients:
        return self

    def __exit__(self, kind: type[BaseException] | None, *problem: object) -> None:
        self.graphs.clear()
        if kind is not None:  # no collective: the other ranks learn of it when this process ends
            return
        self.check_memory()
        if self._pulled_back:
            self.total = self.total.map(self._sharding.ranks.sum)

    @property
    def syn_lr(self) -> Tensor:
        return self._learned.syn_lr

    def check_memory(self) -> None:
        """Raise OutOfMemory on all ranks if memory ran out on any."""
        if self._sharding.ranks.any(self._ran_out):
            raise OutOfMemory

    def gradient(self, theta: Tensor, step: int) -> Tensor:
        """Return g_i summed over the ranks, [weights]."""
        return self._sum(self._gradients(theta, step), theta)

    def pullback(
        self, theta: Tensor, step: int, adjoint: Tensor, *, with_theta: bool = True
    ) -> Tensor | None:
        """Return ∂s_i/∂θ summed over the ranks, and add the rest to `total`. Frees the step's
        kept graphs."""
        self._pulled_back = True
        terms = self._pullbacks(theta, step, adjoint, with_theta)
        if with_theta:
            return self._sum(terms, theta)
        self._sum_of_this_rank(terms)
        return None

    def _gradients(self, theta: Tensor, step: int) -> Iterator[Tensor]:
        learned, keeps = self._learned, step >= self._first_kept
        for piece in self._sharding.pieces(self._steps[step]):
            if keeps:
                graph = build_graph(self._loss_gradient, theta, learned, piece)
                self.graphs.setdefault(step, []).append(graph)
                g = graph.g
            else:
                images = augment(learned.images[piece.indices], piece.draw)
                g = self._loss_gradient(theta, images, learned.labels[piece.indices])
            yield _scaled_by_share(g, piece)

    def _pullbacks(
        self, theta: Tensor, step: int, adjoint: Tensor, with_theta: bool
    ) -> Iterator[Tensor]:
        kept, learned, total = self.graphs.pop(step, []), self._learned, self.total
        for piece in self._sharding.pieces(self._steps[step]):
            graph = kept.pop(0) if kept else build_graph(self._loss_gradient, theta, learned, piece)
            towards = _scaled_by_share(adjoint, piece)  # (n_j/n) λ, [weights]
            total.syn_lr.sub_(torch.dot(towards, graph.g))
            leaves = graph.leaves if with_theta else graph.leaves[1:]
            # [weights] unless TESLA's, [b, channels, height, width], [b, classes]
            *s_theta, s_images, s_labels = torch.autograd.grad(graph.g, leaves, towards)
            # A mini-batch is part of one permutation: its indices are distinct.
            total.images.index_add_(0, piece.indices, -learned.syn_lr * s_images)
            total.labels.index_add_(0, piece.indices, -learned.syn_lr * s_labels)
            yield from s_theta

    def _sum(self, terms: Iterable[Tensor], like: Tensor) -> Tensor:
        own = self._sum_of_this_rank(terms)
        return self._sharding.ranks.sum(torch.zeros_like(like) if own is None else own)

    def _sum_of_this_rank(self, terms: Iterable[Tensor]) -> Tensor | None:
        """None without terms, and after this rank ran out of memory."""
        total: Tensor | None = None
        if self._ran_out:
            return None
        try:
            with translate_oom():
                for term in terms:
                    total = term if total is None else total + term
        except OutOfMemory:
            if self._sharding.ranks.count == 1:
                raise
            self._ran_out, total = True, None
        return total


def _scaled_by_share(tensor: Tensor, piece: Step) -> Tensor:
    """(n_j/n) · tensor."""
    return tensor if piece.share == 1 else piece.share * tensor
