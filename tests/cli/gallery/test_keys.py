"""Walking through the gallery by its keys."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from datm_cli.screen.screenshot import capture
from tests.cli.full_screen import until

from .conftest import captions, press, walk


def heading(text):
    return text.splitlines()[1]


def title_of(text):
    return re.search(r"all classes(?: › \S+)*", text.splitlines()[1]).group()


def test_in_and_out_of_a_class_and_an_image(make_run):
    async def play(gallery, pilot):
        assert title_of(await press(pilot)) == "all classes"
        assert title_of(await press(pilot, "right", "enter")) == "all classes › dog"
        assert title_of(await press(pilot, "right", "enter")) == "all classes › dog › #1"
        assert title_of(await press(pilot, "down")) == "all classes › dog › #2"
        assert title_of(await press(pilot, "up", "up", "up")) == "all classes › dog › #0"
        assert title_of(await press(pilot, "escape")) == "all classes › dog"
        assert title_of(await press(pilot, "escape")) == "all classes"
        assert title_of(await press(pilot, "escape")) == "all classes"
        assert gallery.focused is not None
        assert gallery.focused.id == "grid"

    walk([make_run()], play)


def test_with_one_image_a_class_an_image_opens_at_once(make_run):
    async def play(gallery, pilot):
        assert title_of(await press(pilot, "right", "enter")) == "all classes › dog"
        assert "soft label" in await press(pilot, "down")
        assert title_of(await press(pilot)) == "all classes › newt"

    walk([make_run(ipc=1)], play)


def test_classes_are_chosen_in_the_list_and_by_brackets(make_run):
    async def play(gallery, pilot):
        assert title_of(await press(pilot, "shift+tab", "down", "down")) == "all classes › dog"
        assert title_of(await press(pilot, "tab", "right_square_bracket")) == "all classes › newt"
        assert title_of(await press(pilot, "right_square_bracket")) == "all classes › newt"
        keys = ["left_square_bracket"] * 3
        assert title_of(await press(pilot, *keys)) == "all classes"

    walk([make_run()], play)


def test_images_are_sorted_by_entropy_and_by_change(make_run):
    async def play(gallery, pilot):
        assert captions(await press(pilot, "enter")) == ["#0", "#1", "#2", "#3"]
        text = await press(pilot, "o")
        assert "by label entropy" in heading(text)
        values = [float(caption.split()[1]) for caption in captions(text)]
        assert values == sorted(values, reverse=True)
        assert captions(text)[0].startswith("#3"), "the vaguest label"
        text = await press(pilot, "o")
        assert "by change" in heading(text)
        values = [float(caption.split()[1]) for caption in captions(text)]
        assert values == sorted(values, reverse=True)
        assert "by number" in heading(await press(pilot, "o"))

    walk([make_run()], play)


def test_classes_are_sorted_by_their_means(make_run):
    async def play(gallery, pilot):
        text = await press(pilot, "o")
        named = re.findall(r"(cat|dog|newt)  \d\.\d\d", text.split("\n", 2)[2])
        assert named == ["newt", "dog", "cat"], "labels are vaguer from class to class"

    walk([make_run()], play)


def test_a_file_has_no_change_and_no_history(make_run, tmp_path):
    file = shutil.copy(make_run() / "distilled.safetensors", tmp_path / "set.safetensors")

    async def play(gallery, pilot):
        assert "change" not in (await press(pilot)).split("\n", 1)[1]
        assert "by number" in heading(await press(pilot, "o", "o"))
        image = await press(pilot, "enter", "enter")
        assert "A file has no history: only runs save samples." in image
        assert "difference" not in image

    walk([file], play)


def test_the_caption_of_the_picked_image_is_bold(make_run):
    async def play(gallery, pilot):
        await press(pilot, "right")
        rows = capture(gallery).rows[2:]
        # The list at the left has each name on a line of its own.
        row = next(row for row in rows if {"cat", "dog"} <= set(text_of(row).split()))
        cat, dog = (row[text_of(row).rindex(name)] for name in ("cat", "dog"))
        assert (cat.bold, dog.bold) == (False, True)
        assert cat.foreground != dog.foreground
        assert cat.background == dog.background == row[-1].background

    def text_of(row):
        return "".join(cell.character for cell in row)

    walk([make_run()], play)


def test_pages_and_zoom(make_run):
    async def play(gallery, pilot):
        text = await press(pilot, "enter")
        assert "page 1 of 2" in heading(text)
        first = captions(text)
        second = await press(pilot, "n")
        assert "page 2 of 2" in heading(second)
        assert captions(second)[0] == f"#{len(first)}"
        assert "page 2 of 2" in heading(await press(pilot, "n"))
        assert "page 1 of 2" in heading(await press(pilot, "p"))
        larger = await press(pilot, "plus")
        assert len(captions(larger)) < len(first)
        assert captions(larger)[0] == "#0"
        assert len(captions(await press(pilot, "minus", "minus"))) > len(first)
        for _ in range(12):
            await press(pilot, "plus")
        assert len(captions(await press(pilot))) == 1
        assert captions(await press(pilot, "end")) == ["#15"]
        assert captions(await press(pilot, "home")) == ["#0"]

    walk([make_run(ipc=16)], play, size=(80, 24))


def test_a_click_picks_and_another_opens(make_run):
    async def play(gallery, pilot):
        grid = gallery.query_one("#grid")
        dog = (grid.item_width + 3, 2)
        await pilot.click("#grid", offset=dog)
        await pilot.pause()
        assert (grid.picked, title_of(await press(pilot))) == (1, "all classes")
        await pilot.click("#grid", offset=dog)
        assert title_of(await press(pilot)) == "all classes › dog"
        await pilot.click("#grid", offset=(grid.size.width - 1, grid.size.height - 1))
        assert title_of(await press(pilot)) == "all classes › dog"

    walk([make_run()], play)


def test_history_is_walked_to_the_start_and_back(make_run):
    async def play(gallery, pilot):
        assert "the set, iteration 400" in await press(pilot, "enter", "enter")
        assert "a sample, iteration 300" in await press(pilot, "left")
        text = await press(pilot, "home")
        assert "start, iteration 0" in text
        assert "no difference" in text
        assert "history  1 of 5" in text
        assert "start, iteration 0" in await press(pilot, "left")
        assert "the set, iteration 400" in await press(pilot, "end", "right")

    walk([make_run()], play)


def test_a_set_selected_before_the_last_sample_stands_in_its_course(make_run):
    run = make_run(iteration=400)
    early = make_run("early", iteration=200)
    shutil.copy(early / "distilled.safetensors", run / "distilled.safetensors")

    async def play(gallery, pilot):
        text = await press(pilot, "enter", "enter")
        assert "the set, iteration 200" in text
        assert "history  3 of 5" in text
        assert "a sample, iteration 300" in await press(pilot, "right")

    walk([run], play)


def test_an_image_of_no_sample_says_so(make_run):
    run = make_run(samples=0)

    async def play(gallery, pilot):
        assert "No sample shows this image" in await press(pilot, "enter", "enter")

    walk([run], play)


def test_clipping_can_be_turned_off(make_run):
    async def play(gallery, pilot):
        assert "clipped at 2.5σ" in heading(await press(pilot))
        before = capture(gallery)
        assert "not clipped" in heading(await press(pilot, "c"))
        assert capture(gallery).rows[2:] != before.rows[2:]
        await press(pilot, "c")
        assert capture(gallery).rows == before.rows

    walk([make_run()], play)


def test_the_view_is_saved_under_a_free_name(make_run, tmp_path):
    async def play(gallery, pilot):
        await press(pilot, "s")
        await until(pilot, lambda: "saved pets.png" in capture(gallery).text())
        await press(pilot, "enter", "right", "S")
        await press(pilot, "enter", "s", "s")
        expected = {"pets.png", "pets-cat.svg", "pets-cat-1.png", "pets-cat-1-2.png"}
        assert {path.name for path in tmp_path.iterdir() if path.is_file()} == expected
        assert "soft label" not in (tmp_path / "pets-cat.svg").read_text()

    walk([make_run()], play)


def test_a_view_that_cannot_be_saved_says_why(make_run, monkeypatch):
    async def play(gallery, pilot):
        nowhere = Path("none") / "a.png"
        monkeypatch.setattr("datm_cli.screen.screenshot.image_files.free_path", lambda *_: nowhere)
        await press(pilot, "s")
        await until(pilot, lambda: "cannot be written" in capture(gallery).text())

    walk([make_run()], play)


def test_the_palette_offers_what_the_gallery_can(make_run):
    async def play(gallery, pilot):
        titles = {command.title for command in gallery.get_system_commands(gallery.screen)}
        assert {"Save", "Save as SVG", "Order", "Clip"} <= titles
        await press(pilot, "ctrl+p")
        await until(pilot, lambda: len(gallery.screen_stack) == 2)

    walk([make_run()], play)


@pytest.mark.parametrize("key", ["q", "ctrl+c", "ctrl+q"])
def test_leaving(make_run, key):
    async def play(gallery, pilot):
        await pilot.press(key)

    assert walk([make_run()], play).return_code == 0


def test_what_is_known_later_does_not_disturb_the_help(make_run):
    async def play(gallery, pilot):
        await press(pilot, "question_mark")
        gallery._show_changes(0, 0)
        gallery._show_image(0)
        assert "larger" in await press(pilot), "the help is still there"

    walk([make_run()], play)


def test_two_sets_are_compared_image_by_image(make_run):
    async def play(gallery, pilot):
        text = await press(pilot, "enter", "right", "enter")
        assert title_of(text) == "all classes › cat › #1"
        assert len(re.findall("soft label", text)) == 2
        text = await press(pilot, "down")
        assert len(re.findall("soft label", text)) == 1
        assert "no such image: 2 of cat" in text

    walk([make_run(), make_run("other", ipc=2)], play)


def test_only_the_classes_asked_for_are_shown(make_run):
    async def play(gallery, pilot):
        text = await press(pilot)
        assert "newt" in text
        assert "dog" not in text
        assert title_of(await press(pilot, "right", "enter")) == "all classes › cat"

    walk([make_run()], play, class_names=["newt", "cat"])
