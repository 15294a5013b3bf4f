"""Single images: every kind of grey and colour comes out as the pixels one would expect."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import Tensor

from datm_engine.data.decoding import decode_images
from datm_engine.data.decoding.decode_images import Decoded
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import ConfigError, DataError
from datm_engine.hints import fix_text
from datm_engine.runs.events import ignore

Picture = Callable[..., np.ndarray]


def decode_all(paths: Sequence[Path], resolution: tuple[int, int] | None = None) -> Decoded:
    def read(index: int) -> bytes:
        return paths[index].read_bytes()

    options = LoadOptions("images", Path(), resolution, skip_damaged=False)
    return decode_images.decode(paths, read, options, emit=ignore)


def decode(paths: Sequence[Path], resolution: tuple[int, int] | None = None) -> Tensor:
    return decode_all(paths, resolution).images


@pytest.fixture
def store(tmp_path: Path) -> Callable[..., Tensor]:
    """An image saved, and what decoding makes of it: [channels, height, width]."""

    def run(image: Image.Image, name: str = "image.png", **options: Any) -> Tensor:
        image.save(tmp_path / name, **options)
        return decode([tmp_path / name])[0]

    return run


Store = Callable[..., Tensor]


@pytest.mark.parametrize("name", ["i.png", "i.bmp", "i.ppm", "i.tiff", "I.PNG", "i.webp"])
def test_lossless_formats_keep_every_pixel(store: Store, picture: Picture, name: str) -> None:
    drawn = picture(1, 5, 7, 3)
    options = {"lossless": True} if name.endswith("webp") else {}
    assert store(Image.fromarray(drawn), name, **options).tolist() == (
        drawn.transpose(2, 0, 1).tolist()
    )


def test_grey_has_one_channel(store: Store, picture: Picture) -> None:
    drawn = picture(1, 5, 7)
    assert store(Image.fromarray(drawn)).tolist() == [drawn.tolist()]


def test_black_and_white_is_grey(store: Store) -> None:
    assert store(Image.fromarray(np.array([[True, False]]))).tolist() == [[[255, 0]]]


def test_sixteen_bits_become_eight(store: Store) -> None:
    deep = np.array([[0, 128, 129, 257, 32896, 65535]], np.uint16)
    assert store(Image.fromarray(deep)).tolist() == [[[0, 0, 1, 1, 128, 255]]]
    assert store(Image.fromarray(deep.astype(np.int32)), "i.tiff").tolist() == (
        [[[0, 0, 1, 1, 128, 255]]]
    )


def test_transparent_parts_are_white(store: Store) -> None:
    rgba = np.array([[[200, 10, 30, 255], [0, 0, 0, 0], [0, 0, 0, 128]]], np.uint8)
    assert store(Image.fromarray(rgba)).permute(1, 2, 0).tolist() == (
        [[[200, 10, 30], [255, 255, 255], [127, 127, 127]]]
    )
    grey = np.array([[[40, 255], [0, 0]]], np.uint8)
    assert store(Image.fromarray(grey)).tolist() == [[[40, 255]]]


def test_palettes_are_looked_up(store: Store) -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([250, 0, 0, 0, 0, 9])
    image.putpixel((1, 0), 1)
    assert store(image, "i.png").permute(1, 2, 0).tolist() == [[[250, 0, 0], [0, 0, 9]]]
    see_through = store(image, "i.gif", transparency=0).permute(1, 2, 0)
    assert see_through.tolist() == [[[255, 255, 255], [0, 0, 9]]]


def test_print_colours_become_rgb(store: Store) -> None:
    assert store(Image.new("CMYK", (1, 1), (0, 0, 0, 0)), "i.tiff").tolist() == [[[255]]] * 3


def test_halving_an_image_averages_it(store: Store, tmp_path: Path) -> None:
    store(Image.fromarray(np.repeat(np.array([[0, 200]], np.uint8), 8, axis=1).repeat(16, 0)))
    small = decode([tmp_path / "image.png"], (4, 4))[0, 0]
    assert small[:, 0].tolist() == [0] * 4
    assert small[:, 3].tolist() == [200] * 4
    checks = np.indices((16, 16)).sum(0) % 2 * 200
    store(Image.fromarray(checks.astype(np.uint8)))
    assert (decode([tmp_path / "image.png"], (4, 4)).float() - 100).abs().max() <= 13


def test_large_images_are_decoded_on_several_threads_in_order(tmp_path: Path) -> None:
    paths = [tmp_path / f"{shade}.png" for shade in range(100)]
    for shade, path in enumerate(paths):
        Image.new("L", (150, 150), shade).save(path)
    assert decode(paths, (2, 2))[:, 0, 0, 0].tolist() == list(range(100))


def test_pixels_of_no_known_range_are_refused(store: Store) -> None:
    with pytest.raises(DataError, match=r"1 image of a kind .*i\.tiff \(floating point pixels"):
        store(Image.new("F", (2, 2), 0.5), "i.tiff")


def test_more_than_memory_holds_is_refused_with_its_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.new("L", (2, 2)).save(tmp_path / "i.png")

    def refuse(*_: Any) -> None:
        raise MemoryError

    monkeypatch.setattr(np, "empty", refuse)
    with pytest.raises(ConfigError, match=r"1 images of 40000×40000 need 4\.8 GB") as error:
        decode([tmp_path / "i.png"], (40000, 40000))
    assert "--resolution" in fix_text(error.value.fix)


@pytest.mark.filterwarnings("ignore")  # Pillow's, about what was done to the files
@pytest.mark.parametrize("kind", ["png", "jpeg", "webp", "gif", "bmp", "tiff", "ppm"])
def test_damage_never_ends_in_anything_but_a_data_error(
    tmp_path: Path, picture: Picture, kind: str
) -> None:
    path = tmp_path / f"i.{kind}"
    Image.fromarray(picture(0, 12, 12, 3)).save(path)
    whole = path.read_bytes()
    draws = np.random.default_rng(0)
    refused = []
    for trial in range(90):
        damaged = bytearray(whole)
        if trial % 3 == 0:
            damaged = damaged[: draws.integers(len(damaged))]
        else:
            reach = len(damaged) if trial % 3 == 1 else 48
            for place in draws.integers(reach, size=4):
                damaged[place] = draws.integers(256)
        path.write_bytes(damaged)
        try:
            decode_all([path], (4, 4))
        except DataError as error:
            refused.append(error.message)
    assert refused
    assert all(message.startswith(f"{path} is not a readable image") for message in refused)
