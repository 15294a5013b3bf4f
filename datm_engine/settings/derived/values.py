"""Derived values, and the keys of [distill] that can be derived."""

from __future__ import annotations

from dataclasses import dataclass

Value = int | float

WINDOW = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch", "expansion_iterations")
WINDOW_AND_STEPS = (*WINDOW, "expert_epochs", "syn_steps", "batch_syn")
RATES = ("syn_lr", "lr_images", "lr_labels", "lr_lr", "threshold")
DERIVABLE = (*WINDOW_AND_STEPS, *RATES)  # keys of [distill], in the order in which they are derived


@dataclass(frozen=True)
class Derived:
    """A value for `key` of a table, and the reason for it."""

    key: str
    value: Value
    reason: str


def rounded(value: float) -> float:
    """To two digits, as no more are known."""
    return float(f"{value:.1e}")
