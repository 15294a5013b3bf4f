"""Numbers, durations and sizes as people read them."""

from __future__ import annotations

import math

import pytest

from datm_engine.formatting import byte_size, distinct_numbers, duration, number


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0123456, "0.0123"),
        (1200, "1,200"),
        (1234.5, "1,234"),
        (2.5e-6, "2.5e-06"),
        (-3.0, "-3"),
        (0, "0"),
        (math.nan, "nan"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_texts_differ_where_numbers_do() -> None:
    assert distinct_numbers(0.010001, 0.010002) == ("0.010001", "0.010002")
    assert distinct_numbers(0.1, 0.2) == ("0.1", "0.2")
    assert distinct_numbers(1.0, 1.0) == ("1", "1")


def test_durations_and_sizes() -> None:
    table = {0.5: "0.5 s", 9.96: "10 s", 59.4: "59 s", 60: "1 min 00 s", 3599: "59 min 59 s"}
    table |= {3600: "1 h 00 min", 86399: "23 h 59 min", 90000: "1 day 1 h"}
    assert {seconds: duration(seconds) for seconds in table} == table
    sizes = {0: "0 B", 999: "999 B", 1000: "1.0 kB", 5.5e6: "5.5 MB", 2e13: "20.0 TB"}
    assert {count: byte_size(count) for count in sizes} == sizes
