"""The curves and the labels of a run as charts."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from PIL import Image

from datm_cli.report import run_charts
from datm_cli.report.set_images import heat_map
from tests.cli.dashboard.conftest import matched
from tests.cli.report.conftest import Reader


def test_a_long_run_is_small() -> None:
    history = [matched(i, iterations=20_000) for i in range(1, 20_001)]
    charts = [run_charts.loss(history), run_charts.window(history), run_charts.rate(history)]
    assert sum(len(chart.svg()) for chart in charts) < 600_000


def test_a_loss_over_decades_is_on_a_log_scale() -> None:
    def of(last: float) -> str:
        history = [matched(i, loss=1.0 if i < 50 else last) for i in range(1, 101)]
        return run_charts.loss(history).svg()

    assert "(log scale)" in of(0.01)
    assert "(log scale)" not in of(0.5)


def test_the_moving_mean() -> None:
    assert run_charts.averaged([1, 2, 3, 4, 5], 3) == pytest.approx([1.5, 2, 3, 4, 4.5])
    assert run_charts.averaged([1, 100], 3, log=True) == pytest.approx([10, 10])


def test_the_window_states_its_bounds_and_what_was_drawn() -> None:
    chart = run_charts.window([matched(i) for i in range(1, 301)])
    assert [one.name for one in chart.series] == ["T⁻", "T", "T⁺", "drawn"]
    assert [one.y[-1] for one in chart.series[:3]] == [2, 10, 10]
    assert set(chart.series[3].y) == {2, 3, 4, 5, 6}


def test_a_heat_map_is_darker_the_more() -> None:
    shares = np.array([[0.81, 0.19], [0.0, 1.0]])
    figure = heat_map(shares, ["cat", "dog"], "labels", "images", "shares")
    address = re.search(r'href="data:image/png;base64,([^"]+)"', figure)
    assert address
    pixels = np.asarray(Image.open(io.BytesIO(base64.b64decode(address[1]))))
    assert pixels[..., 3].tolist() == [[230, 111], [0, 255]]
    read = Reader(figure)
    assert "81 19 100" in read.text, "cells that round to none are empty"
    assert read.all("svg")[-1]["aria-label"] == "labels: rows images, columns shares"


def test_a_heat_map_of_many_classes_has_numbers_at_its_sides() -> None:
    names = [f"class {k}" for k in range(200)]
    figure = heat_map(np.eye(200), names, "labels", "images", "shares")
    assert "class 1" not in figure
    assert Reader(figure).text.count("180") == 2
    assert len(figure) < 20_000
