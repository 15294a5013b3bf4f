"""The window's picture: which epochs may start, which are matched, labels that never collide."""

from __future__ import annotations

import pytest

from datm_cli.dashboard.panels.window_panel import draw_window, spread_labels

from .conftest import matched


def lines(width: int = 24, **window: int) -> list[str]:
    """The drawing of a window whose starts were drawn at epochs 3, 3 and 4."""
    epochs = {"lower": 2, "upper": 5, "final_upper": 8, "start_epoch": 3, "target_epoch": 7}
    return draw_window(matched(1, **(epochs | window)), [3, 3, 4], width).plain.split("\n")


def test_every_kind_of_epoch_has_its_own_shape() -> None:
    histogram, track, bracket, labels = lines()
    assert track == "····██████▒▒▒▒▒▒░░░░░░░░"
    assert histogram == "      ██▄▄              "
    assert bracket == "      └────────┘        "
    assert labels == "    T⁻ 2  T 5   T⁺ 8"


def test_where_t_has_reached_its_end_the_two_are_one() -> None:
    assert lines(upper=8)[1] == "····████████████░░░░░░░░"
    assert lines(upper=8)[3] == "    T⁻ 2        T = T⁺ 8"


@pytest.mark.parametrize("width", range(1, 90))
@pytest.mark.parametrize(
    ("lower", "upper", "final", "span"),
    [(0, 1, 1, 2), (0, 1, 2, 2), (40, 41, 42, 3), (0, 4, 4, 2), (30, 70, 70, 2), (0, 1, 60, 4)],
)
def test_it_fits_whatever_the_room(
    width: int, lower: int, upper: int, final: int, span: int
) -> None:
    drawn = lines(
        width,
        lower=lower,
        upper=upper,
        final_upper=final,
        start_epoch=upper - 1,
        target_epoch=upper - 1 + span,
    )
    histogram, track, bracket, labels = drawn
    assert len(histogram) == len(track) == len(bracket) == width
    assert len(labels) <= width
    if width >= 40:
        assert [name for name in ("T⁻", "T⁺") if name in labels] == ["T⁻", "T⁺"]


def test_labels_keep_apart_and_in_order() -> None:
    assert spread_labels([(0, "aa"), (1, "bb"), (2, "cc")], 20) == "aa bb cc"
    assert spread_labels([(17, "aa"), (18, "bb"), (19, "cc")], 20) == "            aa bb cc"
    assert spread_labels([(0, "aa"), (10, "bb")], 20) == "aa        bb"
    assert spread_labels([(0, "aaaa"), (2, "bbbb")], 6) == "aaaa"
