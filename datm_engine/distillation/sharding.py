"""How a student step's batch is divided: over ranks, and in pieces where it does not fit at once.

ℓ is a mean over the batch, so g_i = Σ_j (n_j/n) g_ij over any division of it into pieces of n_j
images, and so are s_i and its derivatives sums. Each piece has a graph of its own, and is worked
alone. Summing in another order rounds differently; nothing else changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from datm_engine.compute.out_of_memory import OutOfMemory, translate_oom
from datm_engine.compute.ranks import ALONE, Ranks

if TYPE_CHECKING:
    from datm_engine.distillation.matching import Step


class Division:
    """Divide each batch equally over ranks, and a rank's share into equal pieces of at most `most`
    images (None: one piece).

    A rank whose memory runs out still takes part in the sums, so that no rank waits for another;
    `settle` then raises on all of them.
    """

    def __init__(self, ranks: Ranks = ALONE, most: int | None = None) -> None:
        self.ranks, self.most = ranks, most
        self._ran_out = False

    def pieces(self, step: Step) -> list[Step]:
        """This rank's; none where there are more ranks than images. Their `share`s add up to 1 over
        all ranks."""
        own = step.indices.tensor_split(self.ranks.count)[self.ranks.rank]
        count = 1 if self.most is None else max(1, -(-len(own) // self.most))
        if self.ranks.count == count == 1:
            return [step]
        uniform = step.draw.uniform.tensor_split(self.ranks.count)[self.ranks.rank]
        slices = zip(own.tensor_split(count), uniform.tensor_split(count), strict=True)
        return [
            replace(
                step,
                indices=indices,
                draw=replace(step.draw, uniform=drawn),
                share=len(indices) / len(step.indices),
            )
            for indices, drawn in slices
            if len(indices)
        ]

    def largest(self, batch: int) -> int:
        """Images of the largest piece, on any rank, of a batch of so many."""
        share = -(-batch // self.ranks.count)
        return share if self.most is None else -(-share // -(-share // self.most))

    def local(self, terms: Iterable[Tensor]) -> Tensor | None:
        """The sum of what this rank's pieces give, which are worked as it asks for them; None if
        there are none. Raises OutOfMemory where this is the only rank."""
        total: Tensor | None = None
        if self._ran_out:
            return None
        try:
            with translate_oom():
                for term in terms:
                    total = term if total is None else total + term
        except OutOfMemory:
            if self.ranks.count == 1:
                raise
            self._ran_out, total = True, None
        return total

    def sum(self, terms: Iterable[Tensor], like: Tensor) -> Tensor:
        """The sum over the pieces of all ranks; `like` has its shape."""
        total = self.local(terms)
        return self.ranks.sum(torch.zeros_like(like) if total is None else total)

    def settle(self) -> None:
        """Raises OutOfMemory on all ranks where it has run out on any: no sum since the last time
        counts then."""
        ran_out, self._ran_out = self.ranks.any(self._ran_out), False
        if ran_out:
            raise OutOfMemory


WHOLE = Division()  # one rank, one piece
