"""Where values fall on an axis, and which of them get a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOG_STEPS = ((1, 2, 5), (1, 3), (1,))  # within a decade, from many labels to few


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` (above it) at `start` to `end` pixels; by factors if `log`.
    `whole`: there is nothing between whole numbers."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def place(self, value: float) -> float:
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int) -> list[tuple[float, str]]:
        """Round values between low and high with their labels, about `most`."""
        if self.log and (powers := log_ticks(self.low, self.high, most)):
            return [(value, number(value)) for value in powers]
        if self.whole:
            most = max(1, min(most, int(self.high - self.low) + 1))
        evenly = linear_ticks(self.low, self.high, most)
        return list(zip(evenly, linear_labels(evenly), strict=True))


def spanning(values: Sequence[float], *, log: bool, margin: float = 0.0) -> tuple[float, float]:
    """The least and the greatest value, with `margin` times their distance on either side; a range
    around the value if all are equal."""
    low, high = min(values), max(values)
    if log:
        room = margin * math.log(high / low) if high > low else math.log(2)
        return low / math.exp(room), high * math.exp(room)
    room = margin * (high - low) if high > low else abs(low) / 2 or 0.5
    return low - room, high + room


def linear_ticks(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10((high - low) / most))
    for step in (power, 2 * power, 5 * power, 10 * power, 20 * power):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    decimals = max(0, -_exponent(step))
    return [round(count * step, decimals) for count in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int) -> list[float]:
    """Powers of ten, and multiples of them where these are few; none if there are not even two."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for stride in range(1, last - first + 2):
        for steps in _LOG_STEPS if stride == 1 else ((1,),):
            every = [float(f"{m}e{e}") for e in range(first, last + 1, stride) for m in steps]
            found = [value for value in every if low / 1.001 <= value <= high * 1.001]
            if len(found) <= most:
                return found if len(found) > 1 else []
    return []


def linear_labels(ticks: Sequence[float]) -> list[str]:
    """Labels with as many digits as make neighbours differ."""
    if len(ticks) < 2:
        return [number(value) for value in ticks]
    largest, step = max(map(abs, ticks)), _exponent(ticks[1] - ticks[0])
    if step >= -4 and largest < 1e7:
        return [f"{value:,.{max(0, -step)}f}" for value in ticks]
    top = _exponent(largest)
    shown = [f"{value / 10.0**top:.{max(0, top - step)}f}" for value in ticks]
    return [_power(text, top) if value else "0" for text, value in zip(shown, ticks, strict=True)]


def number(value: float) -> str:
    """In three significant digits, whole ones in full: 0.0123, 1,200, 2.5×10⁻⁶."""
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{int(value):,}"
    if 1e-4 <= abs(value) < 1e7:
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    mantissa, _, exponent = f"{value:.2e}".partition("e")
    return _power(mantissa.rstrip("0").rstrip("."), int(exponent))


def _power(mantissa: str, exponent: int) -> str:
    raised = "10" + str(exponent).translate(_RAISED)
    return raised if mantissa == "1" else f"{mantissa}×{raised}"


def _exponent(value: float) -> int:
    """Of its leading digit."""
    return math.floor(math.log10(value) + 1e-9)
