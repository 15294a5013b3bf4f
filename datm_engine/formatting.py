"""Numbers, durations, sizes and counts as people read them, in messages, tables and plots."""

from __future__ import annotations

from collections.abc import Sequence


def number(value: float) -> str:
    """Three significant digits; whole numbers in full: 0.0123, 1,200, 2.5e-06."""
    if float(value).is_integer() and abs(value) < 1e7:
        return f"{int(value):,}"
    text = f"{value:.3g}"
    # `g` writes 1234.5 as 1.23e+03.
    return f"{value:,.0f}" if "e+" in text and abs(value) < 1e7 else text


def distinct_numbers(low: float, high: float) -> tuple[str, str]:
    """Two numbers with as many digits as make their texts differ."""
    texts = number(low), number(high)
    for digits in range(4, 9):
        if texts[0] != texts[1] or low == high:
            break
        texts = f"{low:.{digits}g}", f"{high:.{digits}g}"
    return texts


def mean_and_deviation(mean: float, deviation: float | None, digits: int = 2) -> str:
    """ "88.93 ± 0.51"; the mean alone where there is no deviation."""
    text = f"{mean:.{digits}f}"
    return text if deviation is None else f"{text} ± {deviation:.{digits}f}"


def duration(seconds: float) -> str:
    """A rounded length of time: 4.2 s, 42 s, 3 min 10 s, 2 h 05 min, 3 days 4 h."""
    whole = round(seconds)
    minutes, hours, days = whole // 60, whole // 3600, whole // 86400
    if whole < 60:
        return f"{seconds:.1f} s" if seconds < 9.95 else f"{whole} s"
    if whole < 3600:
        return f"{minutes} min {whole % 60:02d} s"
    if whole < 86400:
        return f"{hours} h {minutes % 60:02d} min"
    return f"{plural(days, 'day')} {hours % 24} h"


def short_duration(seconds: float) -> str:
    """A length of time in its largest unit: 42 s, 3 min, 5 h, 12 d."""
    for unit, length in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds // length:,.0f} {unit}"
    return f"{seconds:.0f} s"


def step_duration(seconds: float) -> str:
    """The length of a short step, in two digits below a second: 0.084 s, 12 s."""
    return f"{seconds:.2g} s" if seconds < 1 else duration(seconds)


def byte_size(count: float) -> str:
    """A number of bytes in decimal units: 3.4 MB."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return f"{count:.1f} TB"


def plural(count: int, noun: str) -> str:
    """ "1 image", "1,200 images"."""
    return f"{count:,} {noun}" + ("" if count == 1 else "s")


def some_of(names: Sequence[str], most: int = 3) -> str:
    """The first names: "cat, dog, cow, …"."""
    return ", ".join(names[:most]) + (", …" if len(names) > most else "")


def setting(value: object) -> str:
    """The value of a setting: lists with commas, large numbers without their zeros (1e+09)."""
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or "none"
    if isinstance(value, float) and abs(value) >= 1e6:
        return f"{value:g}"
    return "none" if value is None else str(value)
