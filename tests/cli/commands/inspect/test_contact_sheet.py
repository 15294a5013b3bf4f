"""A distilled set as one picture."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from PIL import Image

from datm_cli.text import contact_sheet
from datm_engine.errors import ConfigError, FileError
from datm_engine.hints import fix_text
from tests.cli.commands.inspect.conftest import IPC, NAMES, SHADE


@pytest.mark.parametrize("name", ["grid.png", "grid.WEBP"])
def test_a_sheet_has_a_row_a_class(datm, file, tmp_path, name):
    path = tmp_path / name
    result = datm(file, "--save", path)
    assert result.exit_code == 0, result.exception
    assert f"saved {path}" in result.stderr.replace("\n", "")
    image = Image.open(path).convert("RGB")
    side, step = 96, 96 + contact_sheet.GAP
    left = image.width - IPC * step
    assert 0 < left < 100, "the classes' names"
    assert image.height == len(NAMES) * step + contact_sheet.GAP
    for index in range(len(NAMES) * IPC):
        row, place = divmod(index, IPC)
        colour = [0, 0, 0]
        colour[row] = 255 - SHADE * place
        corner = left + place * step, contact_sheet.GAP + row * step
        for x, y in [(0, 0), (side - 1, side - 1)]:
            assert image.getpixel((corner[0] + x, corner[1] + y)) == tuple(colour)
        assert image.getpixel((corner[0] + side, corner[1])) == contact_sheet.PAPER
    names = image.crop((0, 0, left, image.height)).getcolors(1 << 16)
    assert {colour for _, colour in names} >= {contact_sheet.PAPER, contact_sheet.INK}


def test_a_sheet_as_jpeg_keeps_colours(datm, file, tmp_path):
    assert datm(file, "--save", tmp_path / "grid.jpg").exit_code == 0
    image = Image.open(tmp_path / "grid.jpg")
    assert image.format == "JPEG"
    centre = image.getpixel((image.width - IPC * 100 + 48, 48))
    assert all(abs(a - b) < 6 for a, b in zip(centre, (255, 0, 0), strict=True))


def test_a_sheet_holds_the_images_asked_for(datm, file, tmp_path):
    datm(file, "--save", tmp_path / "a.png", "--class", "green", "--per-class", 2)
    image = Image.open(tmp_path / "a.png")
    assert image.height == 100 + contact_sheet.GAP
    assert image.getpixel((image.width - 2 * 100, 50)) == (0, 255, 0)
    assert image.getpixel((image.width - 100, 50)) == (0, 255 - SHADE, 0)


def test_outliers_are_clipped_unless_asked_not_to(datm, file, distilled, tmp_path):
    images = torch.full_like(distilled.images, 0.2)
    images[0, :, 0, 0] = 1.0
    replace(distilled, images=images).save(file)
    seen = {}
    for option in ("--clip", "--no-clip"):
        datm(file, option, "--save", tmp_path / "a.png", "--class", "red", "--per-class", 1)
        image = Image.open(tmp_path / "a.png")
        seen[option] = image.getpixel((image.width - 100, contact_sheet.GAP))
    assert seen["--no-clip"] == (255, 255, 255)
    spread = images[0].std().item()
    clipped = round(255 * (images[0].mean().item() + 2.5 * spread))
    assert clipped < 200
    assert seen["--clip"] == (clipped,) * 3


def test_captions_stand_out_where_another_class_leads(datm, file, tmp_path):
    datm(file, "--save", tmp_path / "a.png", "--captions", "--class", "red", "--per-class", 2)
    image = Image.open(tmp_path / "a.png")
    left, below = image.width - 200, contact_sheet.GAP + 96
    for place, ink in enumerate([contact_sheet.INK, contact_sheet.DOUBT]):
        box = (left + place * 100, below, left + place * 100 + 96, image.height)
        colours = {colour for _, colour in image.crop(box).getcolors(1 << 16)}
        assert ink in colours
        assert {contact_sheet.INK, contact_sheet.DOUBT} - {ink} - colours


def test_an_unknown_kind_of_image_is_refused_before_any_work(datm, tmp_path):
    result = datm(tmp_path / "missing", "--save", tmp_path / "grid.gif")
    assert isinstance(result.exception, ConfigError)
    assert "grid.gif" in result.exception.message
    assert "grid.png" in fix_text(result.exception.fix)


def test_a_sheet_that_cannot_be_written_leaves_nothing(datm, file, tmp_path):
    result = datm(file, "--save", tmp_path / "none" / "grid.png")
    assert isinstance(result.exception, FileError)
    assert "No such file" in result.exception.message
    (tmp_path / "grid.png").mkdir()
    assert isinstance(datm(file, "--save", tmp_path / "grid.png").exception, FileError)
    assert {path.name for path in tmp_path.iterdir()} == {"grid.png", "set.safetensors"}


def test_a_large_sheet_is_enlarged_less():
    pictures = torch.zeros(4, 32, 32, 3, dtype=torch.uint8).numpy()
    rows = [contact_sheet.Row(f"c{i}", [0] * 100) for i in range(100)]
    image = contact_sheet.draw(pictures, rows)
    assert image.width * image.height < 1.1 * contact_sheet.MOST_PIXELS
    assert image.height == 100 * (2 * 32 + contact_sheet.GAP) + contact_sheet.GAP


def test_a_format_that_cannot_hold_the_sheet_says_so(tmp_path):
    pictures = torch.zeros(1, 32, 32, 3, dtype=torch.uint8).numpy()
    with pytest.raises(ConfigError, match="more than WEBP can hold") as raised:
        contact_sheet.save_sheet(tmp_path / "a.webp", pictures, [contact_sheet.Row("c", [0] * 500)])
    assert "a.png" in fix_text(raised.value.fix)
