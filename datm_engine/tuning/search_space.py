"""Where a tune looks: settings around a centre, by factors of its own values.

What a person has set by a flag is held as it is.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from datm_engine.errors import ConfigError
from datm_engine.settings.config import Config, build, differences, overlay

Draw = dict[str, float]  # a dimension's name → where in it

WINDOW = (
    "distill.min_start_epoch",
    "distill.initial_max_start_epoch",
    "distill.max_start_epoch",
    "distill.expansion_iterations",
)
# Dimension → the keys it moves, which hold it where they are given.
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
# Factors of the centre's value, drawn evenly in their logarithm.
FACTORS = {
    "end": (0.4, 2.5),
    "lr_images": (0.1, 10.0),
    "lr_labels": (0.2, 5.0),
    "syn_lr": (0.4, 2.5),
}
LATEST_START = 0.75  # T⁻ as a share of T⁺, if the centre's is not later
OPENINGS = (0.5, 1.0)  # how much of the window is open at iteration 0: T between T⁻ and T⁺
STEPS = (0.5, 1.0, 2.0)  # times the centre's
EXPERT_EPOCHS = (1, 2, 3)
MOST_STEPS = 100  # if the centre has no more
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
class Space:
    """`held`: the keys that stay as they are. The draw `identity` is the centre itself."""

    centre: Config
    held: frozenset[str] = frozenset()

    @property
    def dimensions(self) -> dict[str, Range | Choice]:
        """Those in which there is more than one place. Raises ConfigError if there is none."""
        found: dict[str, Range | Choice] = {}
        for name, keys in KEYS.items():
            if not self.held.intersection(keys) and (dimension := self._dimension(name)):
                found[name] = dimension
        if not found:
            held = ", ".join(sorted(self.held))
            raise ConfigError(
                f"nothing is left to search: {held} are held as they are given", "--help"
            )
        return found

    @property
    def identity(self) -> Draw:
        places = {
            "end": 1.0,
            "start": self._start,
            "opening": self._opening,
            "expert_epochs": float(self.centre.distill.expert_epochs),
            "syn_steps": float(self.centre.distill.syn_steps),
        }
        return {name: places.get(name, 1.0) for name in self.dimensions}

    def at(self, draw: Draw) -> Config:
        """The settings at a place in the space; a window that would end after the experts do ends
        with them."""
        centre = self.centre.distill
        over: dict[str, Any] = {
            name: int(draw[name]) for name in ("expert_epochs", "syn_steps") if name in draw
        }
        for name in ("lr_images", "lr_labels", "syn_lr"):
            if name in draw:
                over[name] = _times(getattr(centre, name), draw[name])
        if "start" in draw or "end" in draw or "opening" in draw:
            over |= self._window(draw, over.get("expert_epochs", centre.expert_epochs))
        return build(overlay(self.centre.model_dump(), {"distill": over}), "the search")

    @property
    def _start(self) -> float:
        return self.centre.distill.min_start_epoch / self.centre.distill.max_start_epoch

    @property
    def _opening(self) -> float:
        lower, upper = self.centre.distill.min_start_epoch, self.centre.distill.max_start_epoch
        return (self.centre.distill.initial_max_start_epoch - lower) / (upper - lower)

    def _dimension(self, name: str) -> Range | Choice | None:
        centre = self.centre.distill
        match name:
            case "end":
                low, high = FACTORS[name]
                last = self.centre.snapshot_epochs - min(self._expert_epochs) + 1
                high = min(high, last / centre.max_start_epoch)
                return Range(low, high, log=True) if centre.max_start_epoch * high > 1 else None
            case "start":
                return Range(0.0, max(LATEST_START, self._start), log=False)
            case "opening":
                return Choice(tuple(sorted({*OPENINGS, self._opening})))
            case "expert_epochs":
                values = self._expert_epochs
            case "syn_steps":
                most = max(MOST_STEPS, centre.syn_steps)
                around = {round(centre.syn_steps * times) for times in STEPS}
                values = tuple(sorted(n for n in around if 1 <= n <= most))
            case _:
                moves = getattr(centre, name) > 0
                if name == "lr_labels":
                    moves = moves and centre.labels == "soft"
                return Range(*FACTORS[name], log=True) if moves else None
        return Choice(tuple(map(float, values))) if len(values) > 1 else None

    @property
    def _expert_epochs(self) -> tuple[int, ...]:
        """M: as far as the experts' epochs have room, after the window where that is held."""
        centre = self.centre.distill
        if self.held.intersection(KEYS["expert_epochs"]):
            return (centre.expert_epochs,)
        fixed = self.held.intersection(WINDOW)
        room = self.centre.snapshot_epochs - (centre.max_start_epoch - 1 if fixed else 0)
        return tuple(sorted({centre.expert_epochs, *(m for m in EXPERT_EPOCHS if m <= room)}))

    def _window(self, draw: Draw, expert_epochs: int) -> dict[str, int]:
        centre = self.centre.distill
        last = self.centre.snapshot_epochs - expert_epochs + 1
        final = min(last, max(1, round(centre.max_start_epoch * draw.get("end", 1.0))))
        lower = min(final - 1, _whole(draw.get("start", self._start) * final))
        opening = draw.get("opening", self._opening)
        initial = lower + max(1, _whole(opening * (final - lower)))
        expansion = centre.expansion_iterations
        if opening != self._opening:
            expansion = 0 if opening == 1 else expansion or max(1, centre.iterations // 2)
        return {
            "min_start_epoch": lower,
            "initial_max_start_epoch": min(initial, final),
            "max_start_epoch": final,
            "expansion_iterations": expansion,
        }


def changes(centre: Config, config: Config) -> str:
    """What is otherwise than in the centre, in a line: "T⁺ 3, lr_images 9.3". How long T takes to
    grow is told where nothing else of the window is."""
    changed = differences(centre, config)
    if set(SYMBOLS) & set(changed):
        changed.pop(WINDOW[-1], None)
    told = [
        f"{SYMBOLS.get(name, name.partition('.')[2])} {_shown(value)}"
        for name, (_, value) in changed.items()
    ]
    return ", ".join(told)


def _shown(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _whole(value: float) -> int:
    return math.floor(value + 0.5)


def _times(value: float, factor: float) -> float:
    """To three figures, as one writes it; by 1 exactly as it was."""
    return value if factor == 1 else float(f"{value * factor:.3g}")
