"""A screen as SVG and PNG: cells in, shapes and text out, whatever fonts there are."""

from __future__ import annotations

import asyncio
import re
import unicodedata
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from rich.color_triplet import ColorTriplet
from rich.text import Text
from textual.app import App
from textual.screen import ModalScreen
from textual.widgets import Static

from datm_cli.screen.screenshot import ScreenCell, ScreenCells, capture, save
from datm_cli.screen.screenshot.glyphs import GLYPHS, HEIGHT, WIDTH
from datm_cli.screen.screenshot.png import MARGIN, TALL, WIDE, to_png
from datm_cli.screen.screenshot.svg import to_svg
from datm_engine.errors import FileError
from tests.screenshots import photograph

RED, BLUE, BLACK = ColorTriplet(255, 0, 0), ColorTriplet(0, 0, 255), ColorTriplet(0, 0, 0)


class Tiny(App):
    CSS = "Screen { background: #000000; } Static { color: #ff0000; background: #0000ff; }"

    def compose(self):
        yield Static(Text.assemble("▀ab ", ("c", "bold"), "─漢"))


def screen(*lines):
    rows = tuple(tuple(ScreenCell(character, RED, BLUE) for character in line) for line in lines)
    return ScreenCells(rows, BLACK)


def test_an_app_is_captured_as_its_cells():
    cells = asyncio.run(photograph(Tiny(), size=(12, 2)))
    assert cells.size == (12, 2)
    assert cells.text() == "▀ab c─漢\n\n"
    first, bold, wide = (cells.rows[0][column] for column in (0, 4, 6))
    assert first == ScreenCell("▀", RED, BLUE)
    assert bold == ScreenCell("c", RED, BLUE, bold=True)
    assert wide.character == "漢"
    assert cells.rows[0][7].character == "", "the second half of a wide character"
    assert cells.rows[1][0].background == BLACK
    assert cells.background == BLACK


def test_a_screen_above_another_is_captured_with_what_shows_through():
    class Above(ModalScreen):
        CSS = """
        Above { align: center bottom; background: #000000 50% !important; }
        Static { width: 5; }
        """

        def compose(self):
            yield Static("above")

    class Covered(Tiny):
        def on_mount(self):
            self.push_screen(Above())

    app = Covered()
    cells = asyncio.run(photograph(app, size=(20, 4), until=lambda: len(app.screen_stack) == 2))
    assert "above" in cells.text()
    assert "▀ab c─漢" in cells.text()


def test_a_capture_leaves_pending_repaints_alone():
    async def check():
        app = Tiny()
        async with app.run_test(size=(12, 2)) as pilot:
            await pilot.pause()
            app.screen._compositor._dirty_regions.add(app.screen.region)
            capture(app)
            assert app.screen._compositor._dirty_regions

    asyncio.run(check())


def test_an_app_that_does_not_get_ready_is_said():
    with pytest.raises(TimeoutError, match="not ready"):
        asyncio.run(photograph(Tiny(), size=(12, 2), until=lambda: False, within=0.05))


def test_keys_are_pressed_before_the_picture():
    class Counting(Tiny):
        def on_key(self, event):
            self.query_one(Static).update(f"pressed {event.key}")

    assert "pressed x" in asyncio.run(photograph(Counting(), size=(12, 2), press=["x"])).text()


def test_svg_draws_blocks_and_lines_as_shapes_and_the_rest_as_text():
    text = to_svg(asyncio.run(photograph(Tiny(), size=(12, 2))))
    root = ElementTree.fromstring(text)
    space = "{http://www.w3.org/2000/svg}"
    words = {word.text: word.attrib for word in root.iter(space + "text")}
    assert words.keys() == {"ab", "c", "漢"}
    assert (words["ab"]["x"], words["ab"]["textLength"]) == ("8", "16")
    assert words["c"]["font-weight"] == "bold"
    assert words["漢"]["textLength"] == "16"
    paths = {path.attrib["fill"]: path.attrib["d"] for path in root.iter(space + "path")}
    assert paths["#0000ff"] == "M0 0h96v16h-96z", "one background, one rectangle"
    assert paths["#ff0000"] == "M0 0h8v8h-8zM40 7.5h8v1h-8z", "▀ and ─"
    assert root.attrib["viewBox"] == f"0 0 {12 * WIDTH + 16} {2 * HEIGHT + 16}"


def test_svg_escapes_what_xml_means_something_by():
    root = ElementTree.fromstring(to_svg(screen("<&>")))
    assert [word.text for word in root.iter("{http://www.w3.org/2000/svg}text")] == ["<&>"]


def pixels_of(character):
    """[TALL, WIDE] the foreground's share."""
    pixels = np.asarray(to_png(screen(character)))[MARGIN : MARGIN + TALL, MARGIN : MARGIN + WIDE]
    assert (pixels[..., 1] == 0).all()
    return pixels[..., 0] / 255


@pytest.mark.parametrize(
    ("character", "filled"),
    [
        ("█", [[1, 1], [1, 1]]),
        (" ", [[0, 0], [0, 0]]),
        ("▀", [[1, 1], [0, 0]]),
        ("▐", [[0, 1], [0, 1]]),
        ("▚", [[1, 0], [0, 1]]),
        ("▞", [[0, 1], [1, 0]]),
        ("▙", [[1, 0], [1, 1]]),
        ("▜", [[1, 1], [0, 1]]),
        ("▗", [[0, 0], [0, 1]]),
    ],
)
def test_quadrants_fill_exactly_their_pixels(character, filled):
    expected = np.array(filled).repeat(TALL // 2, axis=0).repeat(WIDE // 2, axis=1)
    assert (pixels_of(character) == expected).all()


@pytest.mark.parametrize("eighths", range(1, 9))
def test_eighths_fill_from_below_and_from_the_left(eighths):
    below = pixels_of(chr(0x2580 + eighths))
    assert below[-eighths * TALL // 8 :].all()
    assert below.sum() == eighths * TALL // 8 * WIDE
    left = pixels_of(chr(0x2590 - eighths))
    assert left[:, : eighths * WIDE // 8].all()
    assert left.sum() == eighths * WIDE // 8 * TALL


def test_shades_are_shares_of_the_foreground():
    for character, share in zip("░▒▓", (0.25, 0.5, 0.75), strict=True):
        assert pixels_of(character) == pytest.approx(share, abs=0.01)


def test_lines_reach_the_edges_their_names_say_and_no_others():
    for character in filter(lambda each: "\u2500" <= each < "\u2580", GLYPHS):
        shares = pixels_of(character) > 0.5
        name = unicodedata.name(character)
        dashed = "DASH" in name
        edges = {
            "UP": shares[0].any(),
            "DOWN": shares[-1].any(),
            "LEFT": shares[:, 0].any(),
            "RIGHT": shares[:, -1].any(),
        }
        words = set(name.replace("VERTICAL", "UP DOWN").replace("HORIZONTAL", "LEFT RIGHT").split())
        for edge, reached in edges.items():
            if not dashed or edge not in words:
                assert reached == (edge in words), f"{character} {edge}"


def test_lines_meet():
    corner = pixels_of("╭") + pixels_of("╮") + pixels_of("╰") + pixels_of("╯")
    assert corner.max() > 0.9
    assert pixels_of("─")[TALL // 2].all()


def test_every_braille_dot_has_its_place():
    for number in range(8):
        column, row = [(0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3)][number]
        y, x = np.argwhere(pixels_of(chr(0x2800 + (1 << number))) > 0.5).mean(axis=0)
        assert (y // (TALL / 4), x // (WIDE / 2)) == (row, column)
    assert pixels_of("⠀").sum() == 0


def test_neighbouring_blocks_leave_no_gap():
    pixels = np.asarray(to_png(screen("██", "█─")))[MARGIN:-MARGIN, MARGIN:-MARGIN]
    assert (pixels[:TALL] == RED).all()
    assert (pixels[:, :WIDE] == RED).all()


def test_text_is_drawn_with_whatever_font_there_is(monkeypatch):
    from datm_cli.screen.screenshot import png

    for fonts in (png.FONTS, []):
        monkeypatch.setattr(png, "FONTS", fonts)
        png._font.cache_clear()
        assert 0.05 < pixels_of("M").mean() < 0.6
    png._font.cache_clear()


def test_a_screen_is_saved_as_its_name_says(tmp_path):
    save(screen("ab"), tmp_path / "a.svg")
    assert ElementTree.parse(tmp_path / "a.svg").getroot().tag.endswith("svg")
    save(screen("ab"), tmp_path / "a.PNG")
    assert Image.open(tmp_path / "a.PNG").size == (2 * WIDE + 2 * MARGIN, TALL + 2 * MARGIN)
    with pytest.raises(FileError, match="No such file"):
        save(screen("ab"), tmp_path / "none" / "a.svg")
    assert {path.name for path in tmp_path.iterdir()} == {"a.svg", "a.PNG"}


def test_all_shapes_stay_in_their_cell():
    assert set("▀▔█▏▟░─━┄│┊╭╯⠀⣿") <= GLYPHS.keys()
    for rectangles in GLYPHS.values():
        for left, top, right, bottom in rectangles:
            assert 0 <= left < right <= WIDTH
            assert 0 <= top < bottom <= HEIGHT
    assert "a" not in GLYPHS
    assert not re.search(r"[─-▟⠀-⣿]", to_svg(screen("─█⣿")))
