"""What the gallery shows, as text: its views, at the sizes of narrow and wide terminals."""

from __future__ import annotations

import re

import pytest

from datm_cli.screen.screenshot import capture

from .conftest import assert_golden, press, walk

SIZES = [(80, 24), (120, 40)]
QUADRANTS = re.compile(r"[▘▝▀▖▗▞▛▚▙▜▄]")

VIEWS = {
    "overview": [],
    "class": ["enter"],
    "image": ["enter", "right", "enter", "left", "left"],
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("view", VIEWS)
def test_a_set(make_run, view, size):
    async def look(gallery, pilot):
        assert_golden(f"{view}-{size[0]}x{size[1]}", await press(pilot, *VIEWS[view]))

    walk([make_run()], look, size=size)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize(("view", "keys"), [("overview", []), ("image", ["enter", "enter"])])
def test_two_sets_beside_each_other(make_run, view, keys, size):
    async def look(gallery, pilot):
        assert_golden(f"compare-{view}-{size[0]}x{size[1]}", await press(pilot, *keys))

    walk([make_run(), make_run("other", ipc=2)], look, size=size)


def test_the_keys_are_reported(make_run):
    async def look(gallery, pilot):
        assert_golden("keys-120x40", await press(pilot, "question_mark"))
        assert "next page" in await press(pilot, "escape", "question_mark")

    walk([make_run()], look)


def test_without_colours_pictures_are_ramps(make_run, monkeypatch):
    monkeypatch.setenv("NO_COLOR", "1")

    async def look(gallery, pilot):
        overview = await press(pilot)
        assert "@" in overview
        assert not QUADRANTS.search(overview)
        image = await press(pilot, "enter", "enter", "left")
        assert "difference" in image
        assert not QUADRANTS.search(image)

    walk([make_run()], look)


@pytest.mark.parametrize("size", [(40, 12), (20, 6), (10, 3)])
def test_a_small_screen_shows_what_fits(make_run, size):
    async def look(gallery, pilot):
        await press(pilot, "enter", "enter", "left")
        await pilot.resize_terminal(120, 40)
        await press(pilot, "escape")
        assert "all classes › cat" in capture(gallery).text()

    walk([make_run()], look, size=size)


def test_a_resized_screen_is_laid_out_anew(make_run):
    async def look(gallery, pilot):
        wide = await press(pilot)
        assert "entropy" in wide
        await pilot.resize_terminal(80, 24)
        narrow = await press(pilot)
        assert "entropy" not in narrow
        await pilot.resize_terminal(120, 40)
        assert await press(pilot) == wide

    walk([make_run()], look)


@pytest.mark.parametrize("name", ["datm-dark", "datm-light"])
def test_both_themes_show_the_same(make_run, name):
    async def look(gallery, pilot):
        before = await press(pilot, "enter")
        gallery.theme = name
        assert await press(pilot) == before
        backgrounds = {cell.background for row in capture(gallery).rows for cell in row}
        assert len(backgrounds) > 3, "pictures and regions can be distinguished"

    walk([make_run()], look)
