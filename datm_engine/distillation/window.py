"""Draws the expert and the start epoch of each iteration.

Later epochs teach harder patterns, which only a larger synthetic set can hold: the more images per
class, the later the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch

from datm_engine.compute.runtime import generator


@dataclass(frozen=True)
class Window:
    """The window [lower, upper) that start epochs are drawn from.

    T⁻ = `lower` (the setting distill.min_start_epoch) is fixed. T, which `upper_at` returns, grows
    from `initial_upper` (initial_max_start_epoch) to T⁺ = `final_upper` (max_start_epoch) over
    `expansion_iterations`; if that is 0, T is T⁺ from the start.

    Source: DATM §3.2 and Algorithm 1. The upper bound is exclusive, as in its published code.
    """

    lower: int
    initial_upper: int
    final_upper: int
    expansion_iterations: int

    def upper_at(self, iteration: int) -> int:
        """T at an iteration, the first being 0."""
        if self.expansion_iterations == 0:
            return self.final_upper
        growth = self.final_upper - self.initial_upper
        return min(
            self.final_upper,
            self.initial_upper + growth * iteration // self.expansion_iterations,
        )

    def draw_start_epoch(self, iteration: int, seed: int) -> int:
        """t, uniform over the window as it is at this iteration."""
        draws = generator(seed, "start epoch", iteration)
        return int(torch.randint(self.lower, self.upper_at(iteration), (), generator=draws))


def expert_for(iteration: int, experts: int, seed: int) -> int:
    """The expert to match: permutations of all experts, each used up before the next."""
    permutation, position = divmod(iteration, experts)
    draws = generator(seed, "expert order", permutation)
    return int(torch.randperm(experts, generator=draws)[position])
