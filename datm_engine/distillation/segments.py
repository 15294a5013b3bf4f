"""The segments of experts that iterations match, the next one read while one is matched."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from torch import Tensor

from datm_engine.config import Config
from datm_engine.distillation.window import Window, expert_for
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.runtime import Runtime


@dataclass(frozen=True)
class Segment:
    """From θ*_t to θ*_{t+M} of one expert; the weights are on the device."""

    expert: int
    start_epoch: int
    target_epoch: int
    start: Tensor
    target: Tensor


class Segments:
    """`segments(iteration)`: what chance and the window decide for it, in any order."""

    def __init__(
        self, config: Config, window: Window, experts: ExpertSet, runtime: Runtime
    ) -> None:
        self._config, self._window = config, window
        self._experts, self._runtime = experts, runtime
        self._thread = ThreadPoolExecutor(1, "segments")
        self._next: tuple[int, Future[Segment]] | None = None

    def __call__(self, iteration: int) -> Segment:
        """Raises FileError for an expert that is damaged."""
        if self._next is not None and self._next[0] == iteration:
            segment = self._next[1].result()
        else:
            segment = self._read(iteration)
        self._next = iteration + 1, self._thread.submit(self._read, iteration + 1)
        return segment

    def _read(self, iteration: int) -> Segment:
        seed = self._config.distill.seed
        expert = expert_for(iteration, self._config.experts.count, seed)
        return self.of(expert, self._window.start_epoch(iteration, seed))

    def of(self, expert: int, start_epoch: int) -> Segment:
        """An expert's from epoch t on. Raises FileError for an expert that is damaged."""
        target_epoch = start_epoch + self._config.distill.expert_epochs
        weights = self._weights(expert, start_epoch, target_epoch)
        return Segment(expert, start_epoch, target_epoch, *map(self._runtime.place, weights))

    def _weights(self, expert: int, *epochs: int) -> tuple[Tensor, ...]:
        """θ* of these two epochs, or what stands in their place on the line from θ*_0 to the last
        snapshot, at the share of the experts' epochs (MCT, Zhong et al., arXiv 2406.19827)."""
        if self._config.distill.trajectories == "real":
            return self._experts.segment(expert, *epochs)
        first, last = self._experts.segment(expert, 0, self._experts.epochs)
        return tuple(first.lerp(last, epoch / self._experts.epochs) for epoch in epochs)
