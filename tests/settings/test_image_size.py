"""Resolutions as they are stated, and images that are not square wherever a resolution is used."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datm_engine.compute.runtime import Runtime
from datm_engine.data import datasets
from datm_engine.data.augmentation import ROTATION, Draw, augment
from datm_engine.data.prepared import prepare
from datm_engine.errors import ConfigError
from datm_engine.runs.events import ignore
from datm_engine.settings import image_size
from datm_engine.settings.choose_preset import choose_preset
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import Shape
from tests.conftest import dataset_settings


@pytest.mark.parametrize(
    ("stated", "resolution", "size"),
    [
        (32, 32, (32, 32)),
        ("32", 32, (32, 32)),
        ("32x24", "32x24", (32, 24)),
        (" 32 × 24 ", "32x24", (32, 24)),
        ("32X24", "32x24", (32, 24)),
        ("032x24", "32x24", (32, 24)),
        ("24x24", 24, (24, 24)),
        ("native", "native", None),
    ],
)
def test_a_resolution_has_one_form(
    stated: Any, resolution: int | str, size: tuple[int, int] | None
) -> None:
    assert image_size.normalized(stated) == resolution
    assert image_size.size_of(resolution) == size


@pytest.mark.parametrize("stated", ["", "x", "32x", "x24", "32x24x3", "-8", "8.5", "3", "8x3", 3])
def test_what_is_no_resolution_is_refused(stated: Any) -> None:
    with pytest.raises(ValueError, match="resolution"):
        image_size.normalized(stated)


@pytest.mark.parametrize(("stated", "kept"), [("12×8", "12x8"), ("16x16", 16), ("16", 16)])
def test_the_configuration_keeps_that_form(
    stated: str, kept: int | str, make_config: Callable[..., Config]
) -> None:
    assert make_config(dataset={"resolution": stated}).dataset.resolution == kept
    with pytest.raises(ConfigError, match=r"dataset\.resolution: a resolution of 8x3 pixels is to"):
        make_config(dataset={"resolution": "8x3"})


@pytest.mark.parametrize(
    ("resolution", "depth"), [("64x16", 2), ("16x64", 2), ("32x24", 3), (8, 1)]
)
def test_the_depth_is_by_the_smaller_side(resolution: int | str, depth: int) -> None:
    shape = image_size.at_resolution(Shape(10, 3, None, None), resolution)
    chosen = choose_preset("photos", 1, None, shape)
    assert chosen.tables["network"]["depth"] == depth


def write_folder(root: Path) -> None:
    for part in ("train", "test"):
        for n, name in enumerate(("cat", "dog")):
            (root / part / name).mkdir(parents=True)
            image = np.zeros((20, 20, 3), np.uint8)
            image[:10, :10] = 200  # the upper left quarter
            image[10:, 10:] = 50 * n
            for index in range(3):
                Image.fromarray(image).save(root / part / name / f"{index}.png")


def test_width_comes_first_and_each_size_is_kept_by_itself(tmp_path: Path) -> None:
    write_folder(tmp_path / "pets")

    def load(resolution: int | str) -> datasets.RealData:
        return datasets.load(
            dataset_settings(tmp_path / "pets", resolution=resolution),
            tmp_path / "data",
            emit=ignore,
        )

    for _ in range(2):  # decoded, and then as it is kept
        wide, high, square = load("12x8"), load("8x12"), load(12)
        assert (wide.shape, high.shape, square.shape) == ((3, 8, 12), (3, 12, 8), (3, 12, 12))
    assert len(list((tmp_path / "data" / "decoded").iterdir())) == 3
    assert wide.train.images[0, 0, 1, 1:5].tolist() == [200] * 4
    assert wide.train.images[0, 0, 1, 8:].tolist() == [0] * 4
    apart = high.train.images.transpose(2, 3).int() - wide.train.images.int()
    assert int(apart.abs().max()) <= 1, "Pillow rounds after either direction"


def test_built_in_sets_are_whitened_at_sizes_that_are_not_square(
    tmp_path: Path, make_config: Callable[..., Config]
) -> None:
    config = make_config(dataset={"resolution": "12x8", "preprocessing": "zca"})
    data = prepare(config.dataset, tmp_path, Runtime(torch.device("cpu")), emit=ignore)
    assert data.shape == (1, 8, 12)
    pixels = data.train.images.flatten(1).double()
    largest = torch.linalg.eigvalsh(pixels.T.cov() / pixels.var()).max()
    assert largest < 10, "whitened: no direction stands out as it does before"


def test_what_is_round_stays_round_when_it_is_rotated() -> None:
    height, width = 32, 64
    rows, columns = torch.arange(height)[:, None], torch.arange(width)[None]
    away = ((rows - (height - 1) / 2) ** 2 + (columns - (width - 1) / 2) ** 2).double().sqrt()
    disc = (12 - away).clamp(0, 1)[None, None]
    assert ROTATION == 15
    for drawn in (0.0, 0.25, 1.0):
        turned = augment(disc, Draw("rotate", torch.full((1, 3), drawn, dtype=torch.float64)))
        assert float((turned - disc).abs().max()) < 0.35, "but for its blurred edge"
