"""The space that a tune searches: settings around a centre, by factors of the centre's values.

A point of the space gives every dimension a number: a factor of the centre's value ("end",
"lr_images", …), a share ("start", "opening") or a count ("expert_epochs", "syn_steps"). Settings
that the user gives are held, and have no dimension.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from datm_engine.errors import ConfigError
from datm_engine.hints import HELP
from datm_engine.settings.config import Config, differences

Point = dict[str, float]  # by dimension

WINDOW = (
    "distill.min_start_epoch",
    "distill.initial_max_start_epoch",
    "distill.max_start_epoch",
    "distill.expansion_iterations",
)
# Dimension → the keys that it changes. It is left out if the user gives one of them.
KEYS: dict[str, tuple[str, ...]] = {
    "end": WINDOW,
    "start": WINDOW,
    "opening": WINDOW,
    "expert_epochs": ("distill.expert_epochs",),
    "syn_steps": ("distill.syn_steps",),
    "lr_images": ("distill.lr_images",),
    "lr_labels": ("distill.lr_labels",),
    "syn_lr": ("distill.syn_lr",),
}
# Factors of the centre's value, drawn evenly in their logarithm. "end" is a factor of T⁺.
FACTORS = {
    "end": (0.4, 2.5),
    "lr_images": (0.1, 10.0),
    "lr_labels": (0.2, 5.0),
    "syn_lr": (0.4, 2.5),
}
MAX_START = 0.75  # T⁻ as a share of T⁺, unless the centre's is greater
OPENINGS = (0.5, 1.0)  # share of the window that is open at iteration 0: T between T⁻ and T⁺
STEP_FACTORS = (0.5, 1.0, 2.0)
EXPERT_EPOCHS = (1, 2, 3)
MAX_STEPS = 100  # unless the centre has more
SYMBOLS = {
    "distill.min_start_epoch": "T⁻",
    "distill.initial_max_start_epoch": "T",
    "distill.max_start_epoch": "T⁺",
}


@dataclass(frozen=True)
class Range:
    """From `low` to `high`, drawn evenly, or evenly in the logarithm."""

    low: float
    high: float
    log: bool


@dataclass(frozen=True)
class Choice:
    values: tuple[float, ...]


@dataclass(frozen=True)
class SearchSpace:
    """The space around the settings `centre`. held: keys that are not searched."""

    centre: Config
    held: frozenset[str] = frozenset()

    @property
    def dimensions(self) -> dict[str, Range | Choice]:
        """The dimensions with more than one value. Raises ConfigError if there are none."""
        named = {
            name: self._dimension(name)
            for name, keys in KEYS.items()
            if not self.held.intersection(keys)
        }
        dimensions = {name: dimension for name, dimension in named.items() if dimension}
        if not dimensions:
            held = ", ".join(sorted(self.held))
            raise ConfigError(f"nothing is left to search: {held} are held as they are given", HELP)
        return dimensions

    @property
    def centre_point(self) -> Point:
        values = {
            "start": self._start,
            "opening": self._opening,
            "expert_epochs": float(self.centre.distill.expert_epochs),
            "syn_steps": float(self.centre.distill.syn_steps),
        }
        return {name: values.get(name, 1.0) for name in self.dimensions}

    def config(self, point: Point) -> Config:
        """The settings at a point. A window that would end after the experts ends with them."""
        centre = self.centre.distill
        over: dict[str, Any] = {
            name: int(point[name]) for name in ("expert_epochs", "syn_steps") if name in point
        }
        for name in ("lr_images", "lr_labels", "syn_lr"):
            if name in point and point[name] != 1:
                # Three digits, as a person would write it.
                over[name] = float(f"{getattr(centre, name) * point[name]:.3g}")
        if "start" in point or "end" in point or "opening" in point:
            over |= self._window(point, over.get("expert_epochs", centre.expert_epochs))
        return self.centre.with_values({"distill": over}, "the search")

    @property
    def _start(self) -> float:
        """T⁻ / T⁺"""
        return self.centre.distill.min_start_epoch / self.centre.distill.max_start_epoch

    @property
    def _opening(self) -> float:
        """(T - T⁻) / (T⁺ - T⁻)"""
        lower, upper = self.centre.distill.min_start_epoch, self.centre.distill.max_start_epoch
        return (self.centre.distill.initial_max_start_epoch - lower) / (upper - lower)

    def _dimension(self, name: str) -> Range | Choice | None:
        """None if there is nothing to choose."""
        centre = self.centre.distill
        match name:
            case "end":
                # T⁺ is at most E - M + 1, with the smallest M. An end of 1 leaves no choice.
                low, high = FACTORS[name]
                last = self.centre.snapshot_epochs - min(self._expert_epochs) + 1
                high = min(high, last / centre.max_start_epoch)
                return Range(low, high, log=True) if centre.max_start_epoch * high > 1 else None
            case "start":
                return Range(0.0, max(MAX_START, self._start), log=False)
            case "opening":
                return Choice(tuple(sorted({*OPENINGS, self._opening})))
            case "expert_epochs":
                counts = self._expert_epochs
            case "syn_steps":
                most = max(MAX_STEPS, centre.syn_steps)
                near = {round(centre.syn_steps * factor) for factor in STEP_FACTORS}
                counts = tuple(sorted(steps for steps in near if 1 <= steps <= most))
            case _:
                is_learned = getattr(centre, name) > 0
                if name == "lr_labels":
                    is_learned = is_learned and centre.labels == "soft"
                return Range(*FACTORS[name], log=True) if is_learned else None
        return Choice(tuple(map(float, counts))) if len(counts) > 1 else None

    @property
    def _expert_epochs(self) -> tuple[int, ...]:
        """Values of M that fit into the experts' epochs, after the window if it is held."""
        centre = self.centre.distill
        if self.held.intersection(KEYS["expert_epochs"]):
            return (centre.expert_epochs,)
        is_held = self.held.intersection(WINDOW)
        room = self.centre.snapshot_epochs - (centre.max_start_epoch - 1 if is_held else 0)
        return tuple(sorted({centre.expert_epochs, *(m for m in EXPERT_EPOCHS if m <= room)}))

    def _window(self, point: Point, expert_epochs: int) -> dict[str, int]:
        centre = self.centre.distill
        last = self.centre.snapshot_epochs - expert_epochs + 1
        # 0 ≤ T⁻ < T ≤ T⁺ ≤ E - M + 1, whatever the point
        final = min(last, max(1, round(centre.max_start_epoch * point.get("end", 1.0))))
        lower = min(final - 1, _round_half_up(point.get("start", self._start) * final))
        opening = point.get("opening", self._opening)
        initial = lower + max(1, _round_half_up(opening * (final - lower)))
        expansion = centre.expansion_iterations
        if opening != self._opening:
            # Open from the start, nothing is left to grow.
            expansion = 0 if opening == 1 else expansion or max(1, centre.iterations // 2)
        return {
            "min_start_epoch": lower,
            "initial_max_start_epoch": min(initial, final),
            "max_start_epoch": final,
            "expansion_iterations": expansion,
        }


def changes(centre: Config, config: Config) -> str:
    """The settings that differ from the centre's, in a line: "T⁺ 3, lr_images 9.3". The growth of
    the window is left out if another of its keys differs."""
    changed = differences(centre, config)
    if SYMBOLS.keys() & changed.keys():
        changed.pop("distill.expansion_iterations", None)
    return ", ".join(
        f"{SYMBOLS.get(key, key.partition('.')[2])} "
        + (f"{value:.3g}" if isinstance(value, float) else str(value))
        for key, (_, value) in changed.items()
    )


def _round_half_up(value: float) -> int:
    return math.floor(value + 0.5)
