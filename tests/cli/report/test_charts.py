"""Charts as the SVG they are: what stands where, and that nothing in them runs."""

from __future__ import annotations

import math
import re
from itertools import pairwise
from xml.etree import ElementTree

import pytest
from jinja2 import UndefinedError
from markupsafe import Markup

from datm_cli.report.charts import HEIGHT, LEFT, LINE, WIDTH, Chart, Series
from datm_cli.report.page import environment
from datm_cli.report.scales import Scale, linear_ticks, log_ticks, number
from tests.cli.report.conftest import Reader, assert_stands_alone


def chart(*series, **settings):
    return Chart("accuracy", series, "ipc", "%", **settings)


def drawn(of):
    """Every element, by its class."""
    return [(one.get("class"), one) for one in ElementTree.fromstring(of.svg()).iter()]


def texts(of, kind="tick"):
    return [one.text for name, one in drawn(of) if name and kind in name.split()]


def paths(of, kind):
    return [one.get("d") for name, one in drawn(of) if name == kind]


def numbers_in(path):
    return [float(text) for text in re.findall(r"-?\d+\.?\d*", path)]


def test_a_part_of_the_axis_is_shaded_and_named():
    whole = Series("datm", [0, 10], [1, 2])
    of = chart(whole, span=(2, 4, "window"))
    (shade,) = [one for name, one in drawn(of) if name == "span"]
    left, right = float(shade.get("x")), float(shade.get("x")) + float(shade.get("width"))
    axis = numbers_in(paths(of, "line")[0])
    across = axis[2] - axis[0]
    assert left == pytest.approx(axis[0] + 0.2 * across, abs=0.1)
    assert right == pytest.approx(axis[0] + 0.4 * across, abs=0.2)
    assert ">window<" in re.sub(r"<svg.*?</svg>", ">", of.figure())
    assert "window shaded" in of.svg()
    assert not [name for name, _ in drawn(chart(whole)) if name == "span"]


def test_a_line_goes_from_corner_to_corner():
    (line,) = paths(chart(Series("a", [0, 50, 100], [0, 1, 2]), y_range=(0, 2)), "line")
    assert line == "M52 238L257 131L462 24"


def test_a_step_holds_until_the_next():
    (line,) = paths(chart(Series("a", [0, 100], [0, 2], style="step"), y_range=(0, 2)), "line")
    assert line == "M52 238H462V24"


def test_values_that_are_none_or_not_finite_are_left_out():
    gaps = Series("a", [0, 1, 2, 3, 4], [0.0, None, math.nan, math.inf, 4.0])
    whole = Series("a", [0, 4], [0.0, 4.0])
    assert chart(gaps).svg() == chart(whole).svg()


@pytest.mark.parametrize("values", [[], [None], [math.nan]])
def test_without_values_it_says_so(values):
    assert "no values yet" in chart(Series("a", range(len(values)), values)).figure()


@pytest.mark.parametrize("value", [0.0, 7.5, -2.0, 1e-9])
def test_one_value_is_a_mark_within_the_frame(value):
    one = chart(Series("a", [3], [value]), log_y=True)
    (mark,) = paths(one, "mark")
    x, y = numbers_in(mark)[:2]
    assert LEFT < x < WIDTH
    assert 0 < y < HEIGHT
    assert len(texts(one)) >= 4


def test_thousands_of_values_are_drawn_as_few_and_no_spike_is_lost():
    values = [1.0] * 20_000
    values[7_777] = 2.0
    (line,) = paths(chart(Series("a", range(20_000), values), y_range=(1, 2)), "line")
    assert len(line) < 20_000
    assert " 24L" in line, "the spike reaches the top"


def test_dots_that_fall_on_each_other_are_drawn_once():
    many = chart(Series("a", range(30_000), [n % 3 for n in range(30_000)], style="dots"))
    (dots,) = paths(many, "dots")
    assert dots.count("M") <= 3 * WIDTH


def test_error_bars_reach_as_far_as_they_say():
    one = Series("a", [1, 10], [50.0, 60.0], errors=[10.0, None], marked=True)
    (whiskers,) = paths(chart(one, y_range=(0, 100)), "whiskers")
    up = Scale(0, 100, 238, 24)
    low, high = round(up.position(40), 1), round(up.position(60), 1)
    assert numbers_in(whiskers)[1:3] == [low, high]
    assert whiskers.count("V") == 1
    scaled = chart(one)
    assert min(numbers_in(paths(scaled, "whiskers")[0])[1:3]) > 20, "the bar is within the frame"


def test_levels_are_lines_across_whose_names_do_not_touch():
    names = [(99.2, "full 99.2"), (99.0, "best 99.0"), (98.9, "other 98.9"), (20.0, "random 20.0")]
    levelled = chart(Series("a", [1, 9], [20.0, 60.0]), levels=names)
    assert len(paths(levelled, "level")) == 4
    heights = {
        one.text: float(one.get("y"))
        for name, one in drawn(levelled)
        if name == "tick" and one.text in [text for _, text in names]
    }
    assert sorted(heights, key=heights.get) == [name for _, name in sorted(names, reverse=True)]
    ordered = sorted(heights.values())
    assert all(after - before >= LINE - 0.11 for before, after in pairwise(ordered))


def test_a_log_scale_is_used_and_named_only_where_all_is_above_zero():
    assert "% (log scale)" in texts(chart(Series("a", [0, 1], [0.01, 10]), log_y=True))
    assert "%" in texts(chart(Series("a", [0, 1], [0, 10]), log_y=True))
    logged = chart(Series("a", [0, 1], [0.01, 10]), log_y=True)
    assert texts(logged, "end") == ["0.01", "0.1", "1", "10"]


def test_ticks_can_be_given():
    ipcs = chart(Series("a", [1, 10, 50], [1, 2, 3]), log_x=True, x_ticks=[1, 10, 50])
    assert texts(ipcs, "middle") == ["1", "10", "50", "ipc"]


def test_series_are_reported_apart_without_colour():
    many = chart(*(Series(f"s{n}", [0, 1], [n, n + 1], marked=True) for n in range(4)))
    looks = [name for name, _ in drawn(many) if name and name.startswith("look")]
    assert looks == ["look0", "look1", "look2", "look3"]
    assert len({re.sub(r"M[\d. ]+", "", mark) for mark in paths(many, "mark")}) == 4
    assert Reader(many.figure()).text.startswith("accuracy s0 s1 s2 s3")


def test_what_is_faint_stands_behind_and_has_no_name():
    both = chart(Series("sum", [0, 1], [0, 1]), Series("raw", [0, 1], [1, 0], faint=True, look=0))
    assert [name for name, _ in drawn(both) if name and "look" in name] == ["look0 faint", "look0"]
    assert "raw" not in both.figure()


def test_a_chart_is_reported_in_words():
    label = ElementTree.fromstring(
        chart(Series("datm", [1, 10], [88.9, 98.2]), levels=[(99.4, "full 99.4")]).svg()
    ).get("aria-label")
    assert label == "accuracy: % over ipc; datm: 88.9 at 1 to 98.2 at 10; full 99.4"


def test_nothing_in_a_name_becomes_markup():
    evil = '</svg><script>alert("1")</script>'
    figure = Chart(evil, [Series(evil, [0, 1], [0, 1])] * 2, evil, evil, [(0.5, evil)]).figure()
    assert "<script" not in figure
    assert Reader(figure).text.count(evil) == 6


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 100, [0, 20, 40, 60, 80, 100]),
        (1, 200, [50, 100, 150, 200]),
        (0.31, 0.34, [0.31, 0.315, 0.32, 0.325, 0.33, 0.335, 0.34][::2]),
        (-3, 3, [-3, -2, -1, 0, 1, 2, 3][1::2]),
    ],
)
def test_ticks_are_round(low, high, expected):
    ticks = linear_ticks(low, high, 6)
    assert len(ticks) <= 6
    assert set(expected) >= set(ticks) or ticks == pytest.approx(expected)


def test_labels_have_the_digits_that_distinguish_them():
    for low, high in [(0.010001, 0.010009), (1e-7, 5e-7), (0, 1), (1e6, 9e6), (99.91, 99.99)]:
        result = [label for _, label in Scale(low, high, 0, 1).ticks()]
        assert len(set(result)) == len(result) >= 3, result


def test_whole_numbers_have_nothing_between_them():
    for last in (1, 2, 3, 4, 150):
        counted = chart(Series("a", [0, last], [0, last]), y_range=(0, last))
        assert all("." not in text for text in texts(counted) if text != "%")
    assert "0.2" in texts(chart(Series("a", [0, 1], [0.2, 0.9]), y_range=(0, 1)))


def test_ticks_of_a_log_scale():
    assert log_ticks(0.8, 1200, 6) == [1, 10, 100, 1000]
    assert log_ticks(1, 9, 6) == [1, 2, 5]
    assert log_ticks(2.1, 2.4, 6) == []
    assert len(log_ticks(1e-12, 1e12, 6)) <= 6


def test_numbers_as_they_are_read():
    values = [0, 1200, 0.01234, 5.4321, 1234.5, 2.5e-6, 1e-5, 1e9]
    expected = ["0", "1,200", "0.0123", "5.43", "1,234", "2.5×10⁻⁶", "10⁻⁵", "10⁹"]
    assert [number(value) for value in values] == expected


PAGE = """\
{% extends "page.html.jinja" %}
{% from "parts.html.jinja" import facts, table %}
{% block main %}
{{ table(["set", "%"], rows, numbers=[1]) }}
{{ facts([("known", 1), ("unknown", none)]) }}
{{ chart.figure() }}
{% endblock %}
"""


def test_markup_is_escaped_unless_it_is_html():
    template = environment().from_string('<img alt="{{ text }}">{{ text }}{{ html }}')
    result = template.render(text="'\"><script> & c", html=Markup("<br>"))
    escaped = "&#39;&#34;&gt;&lt;script&gt; &amp; c"
    assert result == f'<img alt="{escaped}">{escaped}<br>'


def test_a_value_that_is_missing_is_an_error():
    with pytest.raises(UndefinedError, match="'title' is undefined"):
        environment().from_string("{{ title }}").render()


def test_a_page_stands_alone():
    rows = [["<b>", 1.5], ["other", Markup("<em>2</em>")]]
    whole = (
        environment()
        .from_string(PAGE)
        .render(
            kind="page",
            title="a </title> & more",
            rows=rows,
            chart=chart(Series("a", [0, 1], [0, 1])),
        )
    )
    assert_stands_alone(whole)
    read = Reader(whole)
    assert whole.startswith("<!DOCTYPE html>")
    assert read.all("html") == [{"lang": "en"}]
    assert "a </title> & more" in read.text
    assert "<b> 1.5 other 2" in read.text
    assert [one.get("scope") for one in read.all("th")] == ["col", "col", "row", "row", "row"]
    assert [one.get("class") for one in read.all("td")] == ["number", "number", None]
    assert "unknown" not in read.text
