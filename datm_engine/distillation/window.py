"""Which epochs of the experts are matched: the difficulty that fits the synthetic set's size."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch

from datm_engine.compute.runtime import generator
from datm_engine.errors import ConfigError

Third = Literal["early", "middle", "late"]


@dataclass(frozen=True)
class Window:
    """Start epochs are drawn from [lower, upper): T⁻ is fixed, T grows from `initial_upper`
    to `final_upper` (T⁺) over `expansion_iterations`; 0 of these mean T = T⁺ throughout.

    Source: DATM §3.2 and Algorithm 1. The upper bound is exclusive, as in its published code.
    """

    lower: int
    initial_upper: int
    final_upper: int
    expansion_iterations: int

    def upper(self, iteration: int) -> int:
        """T at an iteration, the first being 0."""
        if self.expansion_iterations == 0:
            return self.final_upper
        growth = self.final_upper - self.initial_upper
        return min(
            self.final_upper,
            self.initial_upper + growth * iteration // self.expansion_iterations,
        )

    def start_epoch(self, iteration: int, seed: int) -> int:
        """t, uniform over the window as it is at this iteration."""
        draws = generator(seed, "start epoch", iteration)
        return int(torch.randint(self.lower, self.upper(iteration), (), generator=draws))


def expert_for(iteration: int, experts: int, seed: int) -> int:
    """The expert to match: in shuffled order, each once before any is used again."""
    turn, place = divmod(iteration, experts)
    return int(torch.randperm(experts, generator=generator(seed, "expert order", turn))[place])


def third(epochs: int, expert_epochs: int, which: Third) -> tuple[int, int, int]:
    """T⁻, T and T⁺ of a fixed window (T = T⁺, exclusive) over one third of the start epochs that
    experts of `epochs` epochs have, 0 … epochs − M with M = `expert_epochs`. The thirds share
    none and leave none out; where they cannot be equal, the later ones have one more.

    Raises ConfigError where there are fewer than three start epochs.
    """
    starts = epochs - expert_epochs + 1
    thirds: tuple[Third, ...] = get_args(Third)
    if starts < len(thirds):
        raise ConfigError(
            f"experts of {epochs} epochs, matched {expert_epochs} apart, have too few start epochs "
            "for thirds of them",
            f"--set experts.epochs={expert_epochs + len(thirds) - 1}",
        )
    place = thirds.index(which)
    lower, upper = (starts * k // len(thirds) for k in (place, place + 1))
    return lower, upper, upper
