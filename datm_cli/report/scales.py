"""Positions of values on an axis, and the values that get a label."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from datm_engine import formatting

LABELS = 6  # about the most on an axis
_RAISED = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
_LOG_STEPS = ((1, 2, 5), (1, 3), (1,))  # within a decade, from many labels to few


@dataclass(frozen=True)
class Scale:
    """Values from `low` to `high` on `start` to `end`, in units of the drawing.

    log: equal factors have equal distances. whole: only whole numbers get a label.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def position(self, value: float) -> float:
        low, high, at = (math.log(v) if self.log else v for v in (self.low, self.high, value))
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self) -> list[tuple[float, str]]:
        """Round values between low and high, with their labels."""
        if self.log and (values := log_ticks(self.low, self.high, LABELS)):
            return [(value, number(value)) for value in values]
        most = max(1, min(LABELS, int(self.high - self.low) + 1)) if self.whole else LABELS
        values = linear_ticks(self.low, self.high, most)
        return list(zip(values, _distinct_labels(values), strict=True))


def value_range(values: Sequence[float], *, log: bool, margin: float) -> tuple[float, float]:
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
    """Powers of ten, with multiples of them where these are few; none if there are not even two."""
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for stride in range(1, last - first + 2):
        for steps in _LOG_STEPS if stride == 1 else ((1,),):
            decades = range(first, last + 1, stride)
            # float() of a text is exact, where 10.0**-5 may not be.
            values = [float(f"{step}e{decade}") for decade in decades for step in steps]
            shown = [value for value in values if low / 1.001 <= value <= high * 1.001]
            if len(shown) <= most:
                return shown if len(shown) > 1 else []
    return []


def _distinct_labels(ticks: Sequence[float]) -> list[str]:
    """Labels with as many digits as make neighbours differ."""
    if len(ticks) < 2:
        return [number(value) for value in ticks]
    largest, step = max(map(abs, ticks)), _exponent(ticks[1] - ticks[0])
    if step >= -4 and largest < 1e7:
        return [f"{value:,.{max(0, -step)}f}" for value in ticks]
    digits = max(0, _exponent(largest) - step)
    return [_raised(f"{value:.{digits}e}") if value else "0" for value in ticks]


def number(value: float) -> str:
    """Three significant digits; whole numbers in full: 0.0123, 1,200, 2.5×10⁻⁶."""
    return _raised(formatting.number(value))


def _raised(text: str) -> str:
    """ "2.5e-06" → "2.5×10⁻⁶"; "1e9" → "10⁹"."""
    mantissa, exponential, exponent = text.partition("e")
    if not exponential:
        return text
    power = "10" + str(int(exponent)).translate(_RAISED)
    return power if mantissa == "1" else f"{mantissa}×{power}"


def _exponent(value: float) -> int:
    """The exponent of the leading digit."""
    return math.floor(math.log10(value) + 1e-9)
