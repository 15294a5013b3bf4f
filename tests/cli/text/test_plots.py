"""Plots as the text they are: shapes differ without colour."""

from __future__ import annotations

import io
import math
import re

import pytest
from rich.console import Console

from datm_cli.text.plots import Curve, Curves, bar


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb one is always 80 columns wide


def printed(renderable, width=28, **settings):
    settings = {"color_system": None, "force_terminal": True, **settings}
    console = Console(file=io.StringIO(), width=width, **settings)
    console.print(renderable)
    return console.file.getvalue()


def lines_of(renderable, width=28):
    return [line.rstrip() for line in printed(renderable, width).splitlines()]


def test_a_straight_line():
    assert lines_of(Curve("rise", [0, 10, 20, 30], [1, 2, 3, 4], height=3)) == [
        "rise",
        "4 │                 ⣀⣀⡠⠤⠔⠒⠊⠉",
        "  │        ⣀⣀⠤⠤⠔⠒⠒⠉⠉",
        "1 │⣀⡠⠤⠔⠒⠊⠉⠉",
        "  └─────────────────────────",
        "   0                      30",
    ]


def test_a_series_of_many_values_shows_their_range_and_a_smoothed_line():
    values = [math.exp(-i / 100) * (1 + 0.4 * (-1) ** i) for i in range(400)]
    assert lines_of(Curve("many", range(400), values, height=4, log_scale=True)) == [
        "many (log scale)",
        "   1.4 │⠤⠤⣀⡀⢄⢀",
        "       │  ⠁⠈⠉⠒⠒⠤⢄⣀⢄⢀",
        "       │        ⠁⠑⠉⠑⠒⠤⠤⣀⡀⢀",
        "0.0111 │              ⠁⠑⠈⠉⠒⠒",
        "       └────────────────────",
        "        0                399",
    ]


def test_few_values_are_joined_and_the_best_is_marked():
    steps = Curve("steps", [0, 500, 1000], [10, 40, 35], height=3, smooth=False, marks=[(500, 40)])
    assert lines_of(steps) == [
        "steps",
        "40 │        ⢀⡠⠔⠊◆⠉⠉⠑⠒⠒⠒⠒⠒⠢⠤⠤",
        "   │    ⣀⠤⠔⠊⠁",
        "10 │⣀⠤⠒⠉",
        "   └────────────────────────",
        "    0                  1,000",
    ]


def test_one_value_runs_halfway_up():
    assert lines_of(Curve("flat", [5, 9], [2, 2], height=3)) == [
        "flat",
        "  │",
        "2 │⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤⠤",
        "  │",
        "  └─────────────────────────",
        "   5                       9",
    ]


def test_one_point():
    assert lines_of(Curve("one", [7], [0.5], height=3)) == [
        "one",
        "    │",
        "0.5 │⠄",
        "    │",
        "    └───────────────────────",
        "     7",
    ]


@pytest.mark.parametrize("values", [[], [None], [math.nan]])
def test_no_values(values):
    assert lines_of(Curve("loss", range(len(values)), values)) == ["loss: no values yet"]


def test_values_that_are_not_finite_are_left_out():
    with_gaps = Curve("gap", [0, 1, 2, 3], [1.0, None, math.inf, 2.0], height=2)
    assert lines_of(with_gaps) == lines_of(Curve("gap", [0, 3], [1.0, 2.0], height=2))


def test_a_log_scale_is_named_only_where_it_is_used():
    assert lines_of(Curve("loss", [0, 1], [0.1, 10], log_scale=True))[0] == "loss (log scale)"
    assert lines_of(Curve("loss", [0, 1], [0, 10], log_scale=True))[0] == "loss"


def test_a_log_scale_gives_equal_factors_equal_height():
    factors = Curve("x", range(40), [1000 ** (i / 39) for i in range(40)], log_scale=True)
    even = Curve("x", range(40), [1 + 999 * i / 39 for i in range(40)])
    assert lines_of(factors)[1:] == lines_of(even)[1:]
    assert lines_of(factors)[1:] != lines_of(Curve("x", factors.x, factors.y))[1:]


def test_a_single_spike_among_thousands_is_seen():
    values = [1.0] * 10_000
    values[5_000] = 2.0
    lines = lines_of(Curve("loss", range(10_000), values, height=5), 64)
    assert lines[1].startswith("2 │")
    top = lines[1].partition("│")[2]
    assert len(top.strip()) == 1
    assert abs(len(top) - 30) <= 2, "in the middle of 60 columns"


def test_an_unsmoothed_line_keeps_a_step():
    values = [1.0] * 1000 + [2.0] * 1000
    sharp, soft = (
        lines_of(Curve("lr", range(2000), values, height=5, smooth=smooth), 64)[2:5]
        for smooth in (False, True)
    )
    assert len({line.rindex(line.split()[-1]) for line in sharp}) == 1, "straight up"
    assert len({line.rindex(line.split()[-1]) for line in soft}) == 3


def test_colour_adds_nothing_to_the_shapes():
    values = [1 + (i % 7) / (i + 1) for i in range(500)]
    curve = Curve("loss", range(500), values, marks=[(100, 1.1)])
    coloured = printed(curve, color_system="truecolor", no_color=False)
    assert "\x1b[38;2;86;180;233m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == printed(curve)


@pytest.mark.parametrize("width", [20, 36, 80, 120])
def test_a_curve_keeps_to_the_width(width):
    values = [math.sin(i / 50) for i in range(700)]
    lines = printed(Curve("a title", range(700), values), width).splitlines()
    assert {len(line) for line in lines[1:]} == {width}


def test_a_stream_that_takes_ascii_only_gets_ascii():
    stream = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    console = Console(file=stream, width=40)
    values = [1 + (i % 7) for i in range(500)]
    console.print(Curve("loss", range(500), values, marks=[(100, 1.1)]))
    console.print(bar(0.5, 10, ascii_only=True))
    stream.flush()
    output = stream.buffer.getvalue().decode("ascii")
    assert all(sign in output for sign in "*:o#")


@pytest.mark.parametrize(
    ("share", "expected"),
    [(0, "    "), (1, "████"), (0.5, "██  "), (1 / 32, "▏   "), (1e-6, "▏   "), (math.nan, "    ")],
)
def test_a_bar_fills_its_share(share, expected):
    assert bar(share, 4) == expected


def test_several_series_have_letters_of_their_own():
    rise = ("A", [0, 10, 20, 30], [1, 2, 3, 4])
    fall = ("B", [0, 10, 20, 30], [4, 3, 2, 1])
    lines = lines_of(Curves("both", [rise, fall], height=4), width=44)
    assert lines[0] == "both"
    assert lines[1].startswith("4 │")
    assert lines[4].startswith("1 │")
    assert lines[6].split() == ["0", "30"]
    assert [sum(line.count(letter) for line in lines) for letter in "AB"] == [2, 2]
    heights = {letter: [n for n, line in enumerate(lines) if letter in line] for letter in "AB"}
    assert heights["A"][0] < heights["A"][-1]
    columns = {letter: [line.find(letter) for line in lines if letter in line] for letter in "AB"}
    assert columns["A"][0] > columns["A"][-1], "A rises to the right"
    assert columns["B"][0] < columns["B"][-1], "B falls to the right"


def test_a_part_of_the_axis_stands_out():
    fall = Curve("fall", [0, 10], [4, 1], height=3, smooth=False, span=(4, 6, "window"))
    lines = lines_of(fall, 33)
    assert lines[4] == "  └────────────━━━━━━────────────"
    assert lines[5] == "   0           window          10"
    assert [line[column] for line in lines[1:4] for column in (15, 20)].count("┊") == 4
    rise = Curves("rise", [("A", [0, 10], [1, 4])], height=3, span=(0, 0, "window"))
    first, axis = lines_of(rise, 33)[4:]
    assert first == "  └━─────────────────────────────"
    assert axis.split() == ["0", "window", "10"], "no number is written over"
    narrow = lines_of(Curves("", [("A", [0, 10], [1, 4])], height=3, span=(2, 9, "long" * 4)), 20)
    assert narrow[-1].split() == ["0", "10"], "without a name where there is no room"


def test_a_part_of_the_axis_in_plain_characters():
    class Ascii(io.TextIOWrapper):
        encoding = "ascii"

    result = io.BytesIO()
    console = Console(file=Ascii(result), width=30, color_system=None, legacy_windows=False)
    curve = Curve("fall", [0, 10], [4, 1], height=3, smooth=False, span=(4, 6, "window"))
    console.print(curve)
    console.file.flush()
    lines = result.getvalue().decode("ascii").splitlines()
    assert "=" in lines[-2]
    assert any("|" in line[4:] for line in lines)


def test_several_series_may_be_empty_or_short():
    some = Curves("loss", [("A", [], []), ("B", [1, 9], [2.0, 3.0]), ("C", [5], [2.5])], height=3)
    lines = lines_of(some, width=40)
    assert "B" in "".join(lines)
    assert "C" in "".join(lines)
    assert lines_of(Curves("loss", [("A", [1], [None])])) == ["loss: no values yet"]


def test_levels_of_the_same_line_stand_beside_each_other():
    levels = [(29, "full 29"), (11, "kcenter 11"), (10, "random 10"), (11, "el2n 11")]
    curve = Curve("", [0, 1], [20, 20], height=4, smooth=False, levels=levels)
    wide = [line for line in lines_of(curve, 60) if any(c.isalpha() for c in line)]
    assert [line.split("┄ ")[-1] for line in wide] == [
        "full 29",
        "random 10, el2n 11, kcenter 11",
    ]
    narrow = [line for line in lines_of(curve, 32) if any(c.isalpha() for c in line)]
    assert narrow[-1].endswith(" random 10, el2n 11"), "as many as there is room for"
    assert all(len(line) <= 32 for line in narrow)
