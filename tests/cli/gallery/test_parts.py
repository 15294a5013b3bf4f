"""The parts that make up the gallery, each by itself."""

from __future__ import annotations

import asyncio
import sys
import types

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file
from textual.app import App
from textual.widget import Widget

from datm_cli.gallery.image_view import DARKER, LIGHTER, SAME, signed_difference
from datm_cli.gallery.label_bars import LabelBars
from datm_cli.screen.picture_widgets import Picture, PixelPicture, picture_maker, sharp_size
from datm_cli.screen.sample_files import RunSamples
from datm_cli.screen.screenshot.image_files import free_path
from datm_cli.text.quadrant_pictures import size_in_cells
from datm_engine.errors import ConfigError, FileError
from datm_engine.hints import fix_text
from datm_engine.runs.directory import Run
from tests.screenshots import photograph

from .conftest import grey


def test_a_difference_is_signed_and_the_greatest_has_full_colour():
    start, now = grey(100), grey(100)
    now[0, 0], now[1, 1], now[2, 2] = 151, 49, 125
    colours, reach = signed_difference(now, start)
    assert reach == pytest.approx(0.2)
    assert (colours[0, 0] == LIGHTER).all()
    assert (colours[1, 1] == DARKER).all()
    assert (colours[5, 5] == SAME).all()
    half = colours[2, 2].astype(float)
    assert np.abs(half - (SAME + (LIGHTER - SAME) * 25 / 51)).max() < 1


def test_a_difference_reads_without_colours():
    weights = np.array([0.2126, 0.7152, 0.0722])
    darker, same, lighter = (colour @ weights for colour in (DARKER, SAME, LIGHTER))
    assert darker < same - 20
    assert lighter > same + 20


def test_no_difference_is_none():
    colours, reach = signed_difference(grey(7)[..., :1], grey(7)[..., :1])
    assert reach == 0
    assert (colours == SAME).all()


@pytest.mark.parametrize(
    ("side", "room", "expected"),
    [
        (8, (26, 13), (24, 12)),  # 3 sub-pixels a pixel instead of 3.25
        (8, (16, 8), (16, 8)),
        (32, (54, 27), (54, 27)),  # 32 × 16 would be too little
        (32, (36, 18), (32, 16)),
        (32, (12, 6), (12, 6)),  # smaller than its pixels
        (8, (1, 1), (1, 1)),
        (5, (32, 16), (30, 15)),
    ],
)
def test_pictures_take_whole_pixels_where_it_costs_little(side, room, expected):
    assert sharp_size(side, side, room) == expected


def test_sharp_pictures_keep_their_proportions():
    for height, width in [(8, 16), (28, 28), (64, 48), (5, 9)]:
        for rows in range(4, 40):
            room = (2 * rows, rows)
            plain = size_in_cells(height, width, room)
            sharp = sharp_size(height, width, room)
            assert sharp[1] >= 0.8 * plain[1]
            if sharp != plain:
                assert sharp <= plain
                assert sharp[0] * height == 2 * sharp[1] * width


def shown(pixels, size=(10, 5)):
    class Showing(App):
        CSS = "Picture { width: 100%; height: 100%; }"

        def compose(self):
            picture = Picture()
            picture.show(pixels)
            yield picture

    return asyncio.run(photograph(Showing(), size=size))


def test_a_picture_fills_its_widget_in_proportion():
    pixels = grey(0)
    pixels[:, :4] = 255
    cells = shown(pixels, (20, 8))
    white, black = cells.rows[0][0], cells.rows[0][15]
    assert tuple(white.background) == (255, 255, 255)
    assert tuple(black.background) == (0, 0, 0)
    assert cells.rows[0][16].background == shown(None).rows[0][0].background


def test_a_picture_shown_before_there_is_room_is_drawn_when_there_is():
    async def play():
        class Showing(App):
            CSS = "Picture { width: 0; height: 0; }"

            def compose(self):
                yield Picture()

        app = Showing()
        async with app.run_test(size=(20, 8)) as pilot:
            picture = app.query_one(Picture)
            picture.show(grey(255))
            await pilot.pause()
            picture.styles.width, picture.styles.height = 16, 8
            await pilot.pause()
            assert tuple(picture.render_line(0)._segments[0].style.bgcolor.triplet) == (255,) * 3

    asyncio.run(play())


@pytest.fixture
def textual_image(monkeypatch):
    """A stand-in for textual-image, in a terminal that shows what is set as its `Image`."""

    class Drawn(Widget):
        image = None

    renderable = types.ModuleType("textual_image.renderable")
    widget = types.ModuleType("textual_image.widget")
    renderable.SixelImage, renderable.TGPImage = type("Sixel", (), {}), type("TGP", (), {})
    renderable.Image, widget.Image = renderable.SixelImage, Drawn
    for name, module in [
        ("textual_image", types.ModuleType("textual_image")),
        ("textual_image.renderable", renderable),
        ("textual_image.widget", widget),
    ]:
        monkeypatch.setitem(sys.modules, name, module)
    return renderable


def test_real_pixels_are_drawn_by_textual_image(textual_image):
    make = picture_maker(True, "datm inspect pets")

    class Showing(App):
        def compose(self):
            yield make(id="one")

        def on_mount(self):
            self.query_one("#one").show(grey(9)[..., :1])

    app = Showing()
    asyncio.run(photograph(app, size=(20, 8)))
    picture = make()
    assert isinstance(picture, PixelPicture)
    picture.show(grey(9)[..., :1])
    assert picture._image.image.size == (256, 256)
    assert picture._image.image.getpixel((0, 0)) == (9, 9, 9)
    picture.show(None)
    assert picture._image.image is None


def test_a_terminal_without_pixels_is_reported(textual_image):
    textual_image.Image = type("HalfCells", (), {})
    with pytest.raises(ConfigError, match="shows no pixels") as raised:
        picture_maker(True, "datm inspect pets")
    assert fix_text(raised.value.fix) == "datm inspect pets"


def test_nothing_is_asked_of_the_terminal_without_the_option(monkeypatch):
    monkeypatch.setitem(sys.modules, "textual_image", None)
    assert picture_maker(False, "") is Picture


def test_moments_come_in_order_with_their_pictures(make_run):
    run = Run(make_run())
    moments = RunSamples(run).images_of(0)
    assert [moment.iteration for moment in moments] == [100, 200, 300, 400]
    first, last = moments[0].read(), moments[-1].read()
    assert first.shape == (24, 24, 3)
    assert int(last.max()) > int(first.max()), "contrast grows"
    assert not RunSamples(run).images_of(99)


def test_a_preview_is_a_moment_too(make_run):
    run = Run(make_run())
    (run.samples / "000400.safetensors").rename(run.preview)
    assert [moment.iteration for moment in RunSamples(run).images_of(0)] == [100, 200, 300, 400]


def test_a_sample_without_indices_shows_nobody_knows_which(make_run):
    run = Run(make_run(samples=0))
    samples = RunSamples(run)
    assert not samples.images_of(0)
    assert not samples.unreadable, "the start is no sample"


def test_an_iteration_of_too_many_digits_is_reported_as_unreadable(make_run):
    run = Run(make_run())
    path = run.samples / "000100.safetensors"
    with safe_open(path, framework="numpy") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    save_file(tensors, path, {"iteration": "9" * 5000})
    samples = RunSamples(run)
    assert [image.iteration for image in samples.images_of(0)] == [200, 300, 400]
    assert [str(path) in line for line in samples.unreadable] == [True]


def test_a_moment_whose_file_is_gone_cannot_be_seen(make_run):
    run = Run(make_run())
    moment = RunSamples(run).images_of(0)[0]
    (run.samples / "000100.safetensors").unlink()
    with pytest.raises(FileError, match="cannot be read"):
        moment.read()


def test_views_are_named_after_what_they_show(tmp_path):
    assert free_path(tmp_path, ["runs/a b", "x/y"], "png").name == "a-b-y.png"
    (tmp_path / "a.svg").touch()
    (tmp_path / "a-2.svg").touch()
    assert free_path(tmp_path, ["a"], "svg").name == "a-3.svg"
    assert free_path(tmp_path, ["…"], "svg").name == "datm.svg"
    (tmp_path / f"{'猫' * 66}.png").touch()
    assert free_path(tmp_path, ["猫" * 300], "png").name == f"{'猫' * 66}-2.png", "200 bytes"


def bars(shares, own, rows, width=40):
    class Showing(App):
        def compose(self):
            label = LabelBars()
            label.show([f"c{k}" for k in range(len(shares))], np.array(shares), own)
            yield label

    text = asyncio.run(photograph(Showing(), size=(width, rows))).text()
    return [line.split() for line in text.splitlines() if line]


def test_a_label_shows_its_likeliest_classes_and_always_its_own():
    shares = [0.3, 0.05, 0.4, 0.02, 0.13, 0.1]
    lines = bars(shares, own=3, rows=5)
    assert [line[0] for line in lines[1:-1]] == ["c2", "c0", "◆"]
    assert lines[-2][1] == "c3"
    assert lines[-1] == ["3", "more", "classes:", "28.0%"]
    assert [line[0] for line in bars(shares, own=2, rows=9)[1:]][:2] == ["◆", "c0"]
    assert len(bars(shares, own=2, rows=9)) == 7


def test_the_longest_bar_is_the_largest_value():
    assert bars([0.75, 0.2, 0.05], own=1, rows=4, width=28)[1:] == [
        ["c0", "█" * 16, "75.0%"],
        ["◆", "c1", "████▎", "20.0%"],
        ["c2", "█▏", "5.0%"],
    ]
