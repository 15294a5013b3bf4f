"""The benchmarks' page is drawn by the charts of any page, and stands alone as they do."""

from __future__ import annotations

from benchmarks.report import html
from tests.cli.report.conftest import Reader, assert_stands_alone


def test_the_page_of_measurements() -> None:
    found = {
        "machine": {"cpu": "<two> cores"},
        "size": "small",
        "memory": {
            "what": "peak memory",
            "curves": [
                {
                    "title": "GB an iteration",
                    "x": "student steps",
                    "lines": {"recursion": [(5, 0.67), (80, 0.83)], "plain": [(5, 1.9)]},
                }
            ],
            "figures": {"ratio": 31.2},
        },
    }
    page = html(found)
    assert_stands_alone(page)
    read = Reader(page)
    assert '{"cpu": "<two> cores"}' in read.text
    assert "GB an iteration, recursion: 5: 0.67 80: 0.83" in read.text
    assert "ratio: 31.2" in read.text
    label = next(one["aria-label"] for one in read.all("svg") if "aria-label" in one)
    assert label.startswith("GB an iteration over student steps; recursion: 0.67 at 5 to 0.83")
