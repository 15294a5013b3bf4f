"""The segments of experts that iterations match, the next one read while one is matched.

What is read ahead stays in the host's memory, pinned for a GPU: an iteration's memory is at its
peak then. It is copied to the device when its iteration begins.
"""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace

from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.distillation.window import Window, expert_for
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.settings.config import Config


@dataclass(frozen=True)
class Segment:
    """From θ*_t to θ*_{t+M} of one expert."""

    expert: int
    start_epoch: int
    target_epoch: int
    start: Tensor
    target: Tensor


class Segments:
    """Reads the segment of an iteration onto the device. Expert and start epoch are seeded draws:
    iterations may come in any order."""

    def __init__(
        self, config: Config, window: Window, experts: ExpertSet, runtime: Runtime
    ) -> None:
        self._config, self._window = config, window
        self._experts, self._runtime = experts, runtime
        self._thread = ThreadPoolExecutor(1, "segments")
        self._next: tuple[int, Future[Segment]] | None = None

    def __call__(self, iteration: int) -> Segment:
        """Raises FileError for an expert that is damaged."""
        ahead, self._next = self._next, None
        # A read that failed ahead of time is repeated: memory may be free again, and what is wrong
        # with a file is raised here.
        if ahead is None or ahead[0] != iteration or ahead[1].exception() is not None:
            segment = self._read(iteration)
        else:
            segment = ahead[1].result()
        segment = self._placed(segment)
        self._next = iteration + 1, self._thread.submit(self._read_ahead, iteration + 1)
        return segment

    def read(self, expert: int, start_epoch: int) -> Segment:
        """An expert's from epoch t on. Raises FileError for an expert that is damaged."""
        return self._placed(self._read_segment(expert, start_epoch))

    def _read(self, iteration: int) -> Segment:
        """On the host, as all that is read is."""
        seed = self._config.distill.seed
        expert = expert_for(iteration, self._config.experts.count, seed)
        return self._read_segment(expert, self._window.draw_start_epoch(iteration, seed))

    def _read_ahead(self, iteration: int) -> Segment:
        segment = self._read(iteration)
        if self._runtime.device.type != "cuda":
            return segment
        start, target = segment.start.pin_memory(), segment.target.pin_memory()
        return replace(segment, start=start, target=target)

    def _read_segment(self, expert: int, start_epoch: int) -> Segment:
        target_epoch = start_epoch + self._config.distill.expert_epochs
        weights = self._weights(expert, start_epoch, target_epoch)
        return Segment(expert, start_epoch, target_epoch, *weights)

    def _placed(self, segment: Segment) -> Segment:
        place = self._runtime.place
        return replace(segment, start=place(segment.start), target=place(segment.target))

    def _weights(self, expert: int, *epochs: int) -> tuple[Tensor, ...]:
        """θ* of these two epochs. For `convex` trajectories, points on the line from θ*_0 to the
        last snapshot at the same shares of the epochs (MCT, Zhong et al., arXiv 2406.19827)."""
        if self._config.distill.trajectories == "real":
            return self._experts.segment(expert, *epochs)
        first, last = self._experts.segment(expert, 0, self._experts.epochs)
        return tuple(first.lerp(last, epoch / self._experts.epochs) for epoch in epochs)
