"""What a derived value is, and which keys of [distill] can be."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Value = int | float

WINDOW = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch", "expansion_iterations")
ALIGNED = (*WINDOW, "expert_epochs", "syn_steps", "batch_syn")
RATES = ("syn_lr", "lr_images", "lr_labels", "lr_lr", "threshold")
DERIVABLE = (*ALIGNED, *RATES)  # keys of [distill], in the order in which they are derived


@dataclass(frozen=True)
class Derived:
    """A value for `key` of a table of the configuration, and why it is that."""

    key: str
    value: Value
    reason: str


def reasons(derived: Any) -> dict[str, str]:
    """`table.key` → why it is what it is, of what a run states as derived; what is of another form
    is left out."""
    stated = derived.items() if isinstance(derived, dict) else ()
    return {
        str(key): str(one["reason"])
        for key, one in stated
        if isinstance(one, dict) and "reason" in one
    }


def rounded(value: float) -> float:
    """To two digits: more would claim to be known."""
    return float(f"{value:.1e}")
