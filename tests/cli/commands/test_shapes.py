"""A run on images that are not square, from its settings to its pictures."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.cli.conftest import Answer

Datm = Callable[..., Answer]


def test_a_run_on_images_that_are_not_square(datm: Datm, settings: Path) -> None:
    words = ["--config", settings, "--iterations", 2, "--set", "dataset.preprocessing=zca"]
    made = datm("distill", *words, "--resolution", "12x8", "--quiet", "--json")
    assert made.code == 0, made.err
    shown = datm("inspect", "digits-ipc1", "--save", "set.png", "--json")
    assert shown.code == 0, shown.err
    with Image.open("set.png") as sheet:
        assert sheet.width > 12
    assert datm("report", "digits-ipc1").code == 0
    page = next(Path().glob("*.html")).read_text()
    assert 'width="60" height="40"' in page, "5 times 12×8"
    again = datm("evaluate", "digits-ipc1", "--networks", "mlp", "--repeats", 1, "--quiet")
    assert again.code == 0, again.err
    images = datm("export", "digits-ipc1", "--format", "images", "--to", "out")
    assert images.code == 0, images.err
    with Image.open(next(Path("out").glob("*/*.png"))) as image:
        assert image.size == (12, 8)
    more = datm("distill", "--resume", "digits-ipc1", "--iterations", 3, "--quiet")
    assert more.code == 0, more.err


@pytest.mark.parametrize("wrong", ["3", "12by8", "8x2"])
def test_a_resolution_that_is_none_is_refused_in_two_lines(datm: Datm, wrong: str) -> None:
    answer = datm("distill", "--resolution", wrong)
    assert (answer.code, len(answer.err.strip().splitlines())) == (2, 2)
    assert "resolution" in answer.err
    assert answer.hint == "datm distill --help"
