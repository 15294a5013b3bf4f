"""How student steps fit the memory, and what happens when memory runs out: the attempt is repeated
with fewer kept graphs, then with smaller pieces of a batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch

from datm_engine.compute.compilation import compiled, graph_size
from datm_engine.compute.memory_errors import OutOfMemory, translate_oom
from datm_engine.compute.runtime import Runtime
from datm_engine.distillation.batches import Step, student_steps
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import ShardedGradients, Sharding, build_graph
from datm_engine.errors import DatmError, Setting
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.training.losses import Gradient, student_gradient

Result = TypeVar("Result")


class MemoryPlan:
    """How many graphs of student steps are kept, and how large the pieces of a batch are. `prepare`
    measures both, and `reduce_memory` lowers them.

    loss_gradient: ∇_θ ℓ, compiled if that pays. kept: the last `kept` steps keep their graphs for
    the way back. piece_size: how many images are computed at once; None: whole mini-batches.
    """

    def __init__(
        self,
        config: Config,
        network: FlatNetwork,
        runtime: Runtime,
        piece_size: int | None = None,
    ) -> None:
        self._config, self._network, self._runtime = config, network, runtime
        self._uncompiled = student_gradient(network, mirrored=config.distill.mirrored)
        self.loss_gradient = self._uncompiled
        self.kept, self._most_kept = 0, config.distill.syn_steps
        self._sharding = Sharding(runtime.ranks, piece_size)

    @property
    def piece_size(self) -> int | None:
        return self._sharding.piece_size

    def gradients(self, learned: Learned, steps: Sequence[Step]) -> ShardedGradients:
        return ShardedGradients(self.loss_gradient, learned, steps, self._sharding, self.kept)

    def translate_oom_if_single_rank(self) -> AbstractContextManager[None]:
        """A context for reading a segment and for the optimizer's step. With one rank, memory that
        runs out in it raises OutOfMemory, so that the iteration is repeated; for student steps
        `ShardedGradients` raises it. With several ranks the
        error ends the run: the other ranks already wait in an all-reduce, so the iteration cannot
        be repeated."""
        return translate_oom() if self._runtime.ranks.count == 1 else nullcontext()

    def prepare(self, learned: Learned, *, emit: Emit) -> None:
        """Compile the student step if that pays, and measure how many graphs fit the memory. Use
        smaller pieces as long as a step does not fit. Raises DatmError if a single image does not.
        """
        while True:
            try:
                self._prepare(learned, emit)
                ran_out = False
            except OutOfMemory:
                ran_out = True  # the tensors of the attempt are freed on leaving this block
            if not self._runtime.ranks.any(ran_out):
                return
            self._halve_pieces(learned, emit)

    def retry_with_less_memory(
        self, attempt: Callable[[], Result], learned: Learned, *, emit: Emit
    ) -> Result:
        """Return `attempt()`, repeated with less memory in use as long as it raises OutOfMemory.
        Raises DatmError where no less can be used."""
        while True:
            try:
                return attempt()
            except OutOfMemory:
                pass  # the tensors of the attempt are freed on leaving this block
            self.reduce_memory(learned, emit=emit)

    def reduce_memory(self, learned: Learned, *, emit: Emit) -> None:
        """Use less memory after an attempt that ran out of it: halve the number of kept graphs,
        or the size of pieces if no graph is kept. Raises DatmError if neither is possible."""
        if self._runtime.device.type == "cuda":
            torch.cuda.empty_cache()
        if self._runtime.ranks.any(self.kept > 0):
            self.kept = self._most_kept = self.kept // 2
            emit(Noted(text=f"out of memory: graphs of {self.kept} student steps are kept now"))
            return
        self._halve_pieces(learned, emit)
        self.prepare(learned, emit=emit)  # pieces of another shape are compiled anew

    def _prepare(self, learned: Learned, emit: Emit) -> None:
        runtime, settings = self._runtime, self._config.distill
        theta = self._network.initial()  # any weights do: only shapes and sizes count
        steps = student_steps(self._config, len(learned.images), 0, runtime)
        pieces = [self._sharding.pieces(step) for step in steps]
        # The last mini-batch of a pass over the set may be smaller: each size is exercised once.
        by_size = {len(piece.indices): piece for of_step in pieces for piece in of_step}

        def exercise(gradient: Gradient) -> None:
            for piece in by_size.values():
                with torch.no_grad():
                    gradient(theta, learned.images[piece.indices], learned.labels[piece.indices])
                graph = build_graph(gradient, theta, learned, piece)
                torch.autograd.grad(graph.g, graph.leaves, theta)

        repeats = settings.iterations * sum(map(len, pieces)) // max(1, len(by_size))
        self.loss_gradient = compiled(
            runtime, "student steps", self._uncompiled, exercise, repeats, emit=emit
        )
        if not runtime.memory or not by_size:
            return
        with translate_oom():
            largest = build_graph(self.loss_gradient, theta, learned, by_size[max(by_size)])
        size = graph_size(largest.g) * max(map(len, pieces))  # bytes of a step, at most
        self.kept = min(len(steps), self._most_kept, runtime.memory // max(1, size))
        text = (
            f"graphs of {self.kept} of {len(steps)} student steps are kept, "
            f"{size / 1e6:,.1f} MB each, within {runtime.memory / 1e9:,.1f} GB"
        )
        emit(Noted(text=text))

    def _halve_pieces(self, learned: Learned, emit: Emit) -> None:
        batch = min(self._config.distill.batch_syn, len(learned.images))
        before = self._sharding.largest_piece(batch)
        if before == 1:
            fewer_steps = Setting("distill.syn_steps", max(1, self._config.distill.syn_steps // 2))
            on_cpu = self._runtime.device.type == "cpu"
            raise DatmError(
                f"out of memory: {self._runtime.description} has no room for a student step on a "
                "single image",
                fewer_steps if on_cpu else Setting("device", "cpu"),
            )
        piece_size = -(-before // 2)
        self._sharding = Sharding(self._runtime.ranks, piece_size)
        text = (
            f"out of memory: student steps' batches of {batch:,} are computed in pieces of at "
            f"most {piece_size:,} images from here on; the gradient stays the same"
        )
        emit(Noted(text=text))
