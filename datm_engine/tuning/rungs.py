"""Where trials are scored, and where most of them end: successive halving.

Li et al. 2020 (ASHA): of the trials that have come as far, only the best third goes on.
"""

from __future__ import annotations

from dataclasses import dataclass

REDUCTION = 3  # of the trials that reach a rung, one in so many goes on
LEVELS = 2  # rungs at which a trial may end before its last iteration: 1/9 and 1/3 of the way


@dataclass(frozen=True)
class Rungs:
    """Of trials with so many `iterations`. Each is scored every `interval` of them, and at the
    end; a step is one such score, the first being 1."""

    iterations: int

    @property
    def interval(self) -> int:
        return -(-self.iterations // REDUCTION**LEVELS)

    @property
    def last(self) -> int:
        return self.step(self.iterations)

    def step(self, iteration: int) -> int:
        return -(-iteration // self.interval)
