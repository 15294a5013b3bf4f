"""The window's picture: which epochs may start, which are matched, labels that never collide."""

from __future__ import annotations

import pytest

from datm_cli.dashboard.panels.window_panel import bar, place


def lines(width: int = 24, **over: int) -> list[str]:
    facts = {"lower": 2, "upper": 5, "final": 8, "start": 3, "target": 5, "end": 11} | over
    return bar(width, starts=[3, 3, 4], **facts).plain.split("\n")


def test_every_kind_of_epoch_has_its_own_shape() -> None:
    histogram, track, bracket, labels = lines()
    assert track == "····██████▒▒▒▒▒▒░░░░░░░░"
    assert histogram == "      ██▄▄              "
    assert bracket == "      └────┘            "
    assert labels == "    T⁻ 2  T 5   T⁺ 8"


def test_where_t_has_reached_its_end_the_two_are_one() -> None:
    assert lines(upper=8)[1] == "····████████████░░░░░░░░"
    assert lines(upper=8)[3] == "    T⁻ 2        T = T⁺ 8"


@pytest.mark.parametrize("width", range(1, 90))
@pytest.mark.parametrize(
    ("lower", "upper", "final", "end"),
    [(0, 1, 1, 2), (0, 1, 2, 3), (40, 41, 42, 44), (0, 4, 4, 5), (30, 70, 70, 71), (0, 1, 60, 63)],
)
def test_it_fits_whatever_the_room(
    width: int, lower: int, upper: int, final: int, end: int
) -> None:
    drawn = lines(
        width, lower=lower, upper=upper, final=final, start=upper - 1, target=end, end=end
    )
    histogram, track, bracket, labels = drawn
    assert len(histogram) == len(track) == len(bracket) == width
    assert len(labels) <= width
    if width >= 40:
        assert [name for name in ("T⁻", "T⁺") if name in labels] == ["T⁻", "T⁺"]


def test_labels_keep_apart_and_in_order() -> None:
    assert place([(0, "aa"), (1, "bb"), (2, "cc")], 20) == "aa bb cc"
    assert place([(17, "aa"), (18, "bb"), (19, "cc")], 20) == "            aa bb cc"
    assert place([(0, "aa"), (10, "bb")], 20) == "aa        bb"
    assert place([(0, "aaaa"), (2, "bbbb")], 6) == "aaaa"
