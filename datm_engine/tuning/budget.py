"""How much a tune may take: a number of trials, or a time."""

from __future__ import annotations

import re
from dataclasses import dataclass

from datm_engine.errors import ConfigError

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


@dataclass(frozen=True)
class Budget:
    """One of the two: trials, the first included, or seconds of all processes that worked on it."""

    trials: int | None = None
    seconds: float | None = None

    def allows(self, begun: int) -> bool:
        """One more trial, after so many."""
        return self.trials is None or begun < self.trials

    def is_spent(self, seconds: float) -> bool:
        return self.seconds is not None and seconds >= self.seconds


def parse_budget(text: str) -> Budget:
    """ "20" → 20 trials, "30m", "2h", "1.5h" → a time. Raises ConfigError."""
    stated = re.fullmatch(r"(\d{1,9})|(\d{1,9}(?:\.\d+)?)\s*([smhd])", text.strip().lower())
    budget = Budget()
    if stated and stated[1]:
        budget = Budget(trials=int(stated[1]))
    elif stated:
        budget = Budget(seconds=float(stated[2]) * _UNITS[stated[3]])
    if not (budget.trials or budget.seconds):
        raise ConfigError(
            f"--budget {text}: neither a number of trials, as 20 is, nor a time, as 30m and 2h are",
            "--budget 20",
        )
    return budget
