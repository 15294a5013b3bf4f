"""The cells drawn are the nearest there are, and still a picture without colour."""

from __future__ import annotations

import io

import numpy as np
import pytest
from rich.console import Console

from datm_cli.text.quadrant_pictures import LARGE, QUADRANTS, RAMP, Grid, quadrants, size_in_cells

BLACK, WHITE, RED = (0, 0, 0), (255, 255, 255), (255, 0, 0)


@pytest.fixture(autouse=True)
def _on_a_terminal(monkeypatch):
    monkeypatch.setenv("TERM", "xterm-256color")  # a dumb one is always 80 columns wide


def text_of(lines):
    return ["".join(segment.text for segment in line) for line in lines]


def printed(renderable, width=80, **settings):
    console = Console(file=io.StringIO(), width=width, force_terminal=True, **settings)
    console.print(renderable)
    return console.file.getvalue()


def error_of(pixels, members):
    """Squared error of four colours shown as the means of two groups, `members` being one."""
    groups = [[k for k in range(4) if (k in members) is inside] for inside in (True, False)]
    return sum(((pixels[g] - pixels[g].mean(axis=0)) ** 2).sum() for g in groups if g)


def test_the_partition_is_the_best_of_all_sixteen():
    random = np.random.default_rng(0)
    picture = random.integers(0, 256, (12, 20, 3), dtype=np.uint8)
    chosen = quadrants(picture, 10, 6).partitions
    assert chosen.shape == (6, 10)
    for row in range(6):
        for column in range(10):
            block = picture[2 * row : 2 * row + 2, 2 * column : 2 * column + 2]
            pixels = block.reshape(4, 3).astype(float)
            errors = [
                error_of(pixels, {k for k in range(4) if number >> k & 1}) for number in range(16)
            ]
            shown = {k for k in range(4) if chosen[row, column] >> k & 1}
            assert error_of(pixels, shown) == pytest.approx(min(errors))
    assert len(set(chosen.flat)) > 4, "the picture must try more than a few partitions"


def test_a_cell_has_the_mean_colours_of_its_two_groups():
    picture = np.array([[(10, 0, 0), (20, 0, 0)], [(250, 9, 0), (240, 0, 7)]], dtype=np.uint8)
    cells = quadrants(picture, 1, 1)
    assert QUADRANTS[cells.partitions[0, 0]] == "▀"
    assert cells.foreground[0, 0].tolist() == [15, 0, 0]
    assert cells.background[0, 0].tolist() == [245, 5, 4]


def test_every_partition_has_the_glyph_of_its_shape():
    for partition, glyph in enumerate(QUADRANTS):
        pixels = [WHITE if partition >> k & 1 else BLACK for k in range(4)]
        picture = np.array(pixels, dtype=np.uint8).reshape(2, 2, 3)
        cells = quadrants(picture, 1, 1)
        assert text_of(cells.lines()) == [glyph]
    assert QUADRANTS == " ▘▝▀▖▌▞▛"


def test_a_known_picture_gives_known_text_and_colours():
    picture = np.zeros((4, 6, 3), dtype=np.uint8)
    picture[0, :] = WHITE  # a bar along the top
    picture[:, 0] = WHITE  # and one down the left
    picture[2:, 4:] = RED
    lines = quadrants(picture, 3, 2).lines()
    assert text_of(lines) == ["▛▀▀", "▌  "]
    top = [(segment.text, segment.style.color.triplet) for segment in lines[0]]
    assert top == [("▛▀▀", WHITE)], "neighbours of one style are one segment"
    assert lines[1][-1].style.bgcolor.triplet == RED


def test_a_flat_cell_stays_flat():
    picture = np.full((2, 2, 3), 77, dtype=np.uint8)
    cells = quadrants(picture, 1, 1)
    assert text_of(cells.lines()) == [" "]
    assert cells.background[0, 0].tolist() == [77, 77, 77]


def test_shrinking_averages_areas():
    random = np.random.default_rng(1)
    picture = random.integers(0, 256, (12, 24, 1), dtype=np.uint8)
    blocks = picture.reshape(4, 3, 4, 6).mean(axis=(1, 3))
    cells = quadrants(picture, 2, 2)
    nearest = quadrants(np.floor(blocks + 0.5).astype(np.uint8)[..., None], 2, 2)
    assert (cells.partitions == nearest.partitions).all()
    assert (cells.foreground == nearest.foreground).all()
    assert (cells.background == nearest.background).all()


def test_shrinking_by_a_fraction_shares_pixels_out():
    picture = np.array([0, 90, 255], dtype=np.uint8).reshape(1, 3, 1)
    cells = quadrants(picture, 1, 1)  # two sub-pixels across: 0 and half of 90, half of 90 and 255
    assert QUADRANTS[cells.partitions[0, 0]] == "▌"
    assert cells.foreground[0, 0, 0] == 30
    assert cells.background[0, 0, 0] == 200


def test_enlarging_repeats_pixels():
    random = np.random.default_rng(2)
    picture = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    enlarged = picture.repeat(2, axis=0).repeat(4, axis=1)
    for part in ("partitions", "foreground", "background"):
        assert np.array_equal(
            getattr(quadrants(picture, 8, 4), part), getattr(quadrants(enlarged, 8, 4), part)
        )


def test_many_pictures_at_once_are_as_one_by_one():
    random = np.random.default_rng(3)
    pictures = random.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    together = quadrants(pictures, 6, 3)
    for index, picture in enumerate(pictures):
        assert text_of(together[index].lines()) == text_of(quadrants(picture, 6, 3).lines())


def test_the_ramp_runs_from_dark_to_light():
    picture = np.linspace(0, 255, 10).round().astype(np.uint8).reshape(1, 10, 1)
    lines = quadrants(picture.repeat(2, axis=0).repeat(2, axis=1), 10, 1).ramp()
    assert text_of(lines) == [RAMP]
    assert all(segment.style is not None for line in lines for segment in line)


@pytest.mark.parametrize(("level", "character"), [(0, " "), (255, "@"), (128, "=")])
def test_the_ramp_leaves_a_flat_picture_flat(level, character):
    picture = np.full((4, 4, 3), level, dtype=np.uint8)
    assert text_of(quadrants(picture, 2, 2).ramp()) == [character * 2] * 2


def test_the_ramp_weighs_a_cell_by_its_groups():
    quarter = np.array([[255, 0, 0, 0, 255, 255], [0, 0, 0, 0, 255, 255]], dtype=np.uint8)
    assert text_of(quadrants(quarter[..., None], 3, 1).ramp()) == [": @"]


@pytest.mark.parametrize("settings", [{"no_color": True}, {"color_system": None}])
def test_without_colour_a_grid_is_ascii_without_escapes(settings):
    random = np.random.default_rng(4)
    pictures = random.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    output = printed(Grid(pictures, ["cat", "dog"]), **settings)
    assert output.isascii()
    assert "\x1b" not in output
    assert len(set(output) & set(RAMP)) > 4


def test_no_color_of_the_environment_is_heeded(monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")
    pictures = np.random.default_rng(5).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    assert printed(Grid(pictures, ["cat"]), color_system="truecolor").isascii()


def test_in_colour_a_grid_is_quadrants():
    pictures = np.random.default_rng(6).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
    output = printed(Grid(pictures, ["cat"]), color_system="truecolor", no_color=False)
    assert "\x1b[38;2;" in output
    assert set(QUADRANTS[1:]) & set(output)


@pytest.mark.parametrize(
    ("width", "count", "group", "per_line"),
    [
        (80, 3, 1, 3),
        (80, 5, 1, 5),
        (80, 6, 1, 3),  # five fit; two lines of three rather than five and one
        (80, 10, 1, 5),
        (120, 8, 1, 8),
        (120, 10, 1, 5),
        (120, 16, 1, 8),
        (120, 9, 3, 6),  # eight fit: two whole groups of three
        (80, 20, 10, 5),  # no whole group fits
        (5, 3, 1, 1),
    ],
)
def test_pictures_stand_in_even_lines(width, count, group, per_line):
    pictures = np.zeros((count, 32, 32, 3), dtype=np.uint8)
    grid = Grid(pictures, [f"c{i}" for i in range(count)], group=group)
    assert grid.per_line(width) == per_line


@pytest.mark.parametrize("width", [80, 120])
def test_a_grid_keeps_to_the_width_and_captions_every_picture(width):
    pictures = np.full((16, 32, 32, 3), 255, dtype=np.uint8)
    names = [f"class-{i:02}" for i in range(16)]
    lines = printed(Grid(pictures, names), width=width, no_color=True).splitlines()
    assert max(map(len, lines)) <= width
    captions = [line.split() for line in lines if "class" in line]
    assert [name for line in captions for name in line] == names
    assert {len(line) for line in captions} == ({8} if width == 120 else {4})
    blocks = len(captions)
    assert sum("@" in line for line in lines) == 6 * blocks


def test_a_caption_stands_under_its_picture_and_is_cut_to_it():
    pictures = np.stack([np.full((8, 8, 1), level, dtype=np.uint8) for level in (255, 0)])
    grid = Grid(pictures, ["a very long name", "dark"])
    lines = printed(grid, color_system=None).splitlines()
    assert [line.rstrip() for line in lines] == ["@" * 12] * 6 + ["a very long…  dark"]


def test_a_large_grid_has_larger_pictures():
    pictures = np.full((1, 8, 8, 3), 255, dtype=np.uint8)
    lines = printed(Grid(pictures, ["a"], room=LARGE), color_system=None).splitlines()
    assert [line.rstrip() for line in lines[:-1]] == ["@" * 16] * 8


def test_a_screen_narrower_than_a_picture_shows_it_smaller():
    pictures = np.full((2, 8, 8, 3), 255, dtype=np.uint8)
    output = printed(Grid(pictures, ["a", "b"]), width=6, color_system=None)
    assert max(len(line) for line in output.splitlines()) == 6
    assert output.count("@" * 6) == 2 * 3


@pytest.mark.parametrize(
    ("height", "width", "cells"),
    [(32, 32, (12, 6)), (8, 8, (12, 6)), (16, 32, (12, 3)), (32, 16, (6, 6)), (1, 100, (12, 1))],
)
def test_cells_keep_proportions(height, width, cells):
    assert size_in_cells(height, width) == cells
