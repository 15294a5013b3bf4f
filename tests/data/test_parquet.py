"""Parquet as the Hub has it: any of its layouts gives the images that went in."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.errors import DataError, DatmError
from datm_engine.hints import fix_text
from datm_engine.settings.image_size import Shape

from .conftest import LABELS

Picture = Callable[..., np.ndarray]


@pytest.mark.parametrize(
    ("files", "columns"),
    [
        (("data/train-00000-of-00001.parquet", "data/test-00000-of-00001.parquet"), {}),
        (("train.parquet", "validation.parquet"), {"image": "image"}),
        (("train/0000.parquet", "test/0000.parquet"), {"label": "fine_label"}),
    ],
)
def test_any_layout(
    files: tuple[str, str],
    columns: dict[str, str],
    tmp_path: Path,
    write: Callable[..., None],
    load: Callable[..., Any],
    picture: Picture,
) -> None:
    root = tmp_path / "pets"
    for seed, file in zip((0, 10), files, strict=True):
        write(root / file, seed=seed, names=["cat", "dog"], **columns)
    data, _ = load(root)
    assert (data.name, data.class_names) == ("pets", ("cat", "dog"))
    assert data.train.labels.tolist() == LABELS
    for part, seed in ((data.train, 0), (data.test, 10)):
        wanted = np.stack([picture(seed + i).transpose(2, 0, 1) for i in range(4)])
        assert np.array_equal(part.images.numpy(), wanted)
    assert datasets.peek(str(root), data_dir=tmp_path) == Shape(2, 3, 6, 6)


def test_several_files_of_a_part_and_no_class_names(
    tmp_path: Path, write: Callable[..., None], load: Callable[..., Any], picture: Picture
) -> None:
    write(tmp_path / "d" / "train-00000-of-00002.parquet")
    write(tmp_path / "d" / "train-00001-of-00002.parquet", seed=4)
    write(tmp_path / "d" / "test-00000-of-00001.parquet", seed=8)
    data, _ = load(tmp_path / "d", resolution=4)
    assert data.class_names == ("0", "1")
    assert data.train.images.shape == (8, 3, 4, 4)


def test_a_table_beside_class_folders_is_passed_over(
    folder: Path, load: Callable[..., Any]
) -> None:
    (folder / "metadata.parquet").write_bytes(b"a table of something")
    assert load(folder)[0].class_names == ("cat", "dog")
    assert datasets.peek(str(folder), data_dir=folder).classes == 2


@pytest.mark.parametrize(
    ("train", "message"),
    [
        ({"label": "species"}, "columns img, species, and none of labels is recognised"),
        ({"labels": [0, 1, 2, 0], "names": ["cat", "dog"]}, "label 2, outside 0 to 1"),
        ({"labels": [0, -1, 1, 0], "names": ["cat", "dog"]}, r"train.parquet row 1 has no label"),
        ({"labels": [0, 0, 0, 0], "names": ["cat", "dog"]}, "no image of class dog"),
        ({"labels": [-1, -1, -1, -1]}, "has no labels in its train part"),
        ({"labels": [0.5, 0, 1, 1]}, r"row 0 has the label 0.5, which is neither"),
        ({"labels": [[0], [1], [0], [1]]}, r"row 0 has the label \[0\], which is neither"),
    ],
)
def test_what_does_not_fit_is_reported(
    train: dict[str, Any],
    message: str,
    tmp_path: Path,
    write: Callable[..., None],
    load: Callable[..., Any],
) -> None:
    write(tmp_path / "d" / "train.parquet", **train)
    write(tmp_path / "d" / "test.parquet")
    with pytest.raises(DataError, match=message) as error:
        load(tmp_path / "d")
    assert fix_text(error.value.fix).startswith("python -c 'import pyarrow.parquet as p; ")
    assert "train.parquet" in fix_text(error.value.fix)


def test_damage_and_missing_parts_are_reported(
    tmp_path: Path, write: Callable[..., None], load: Callable[..., Any]
) -> None:
    write(tmp_path / "d" / "train.parquet")
    (tmp_path / "d" / "train.parquet").rename(tmp_path / "d" / "val.parquet")
    with pytest.raises(DataError, match="has parquet files of validation, and none of a train"):
        load(tmp_path / "d")
    write(tmp_path / "d" / "train.parquet")
    (tmp_path / "d" / "test.parquet").write_bytes(b"PAR1 cut short")
    with pytest.raises(DataError, match=r"test\.parquet cannot be read"):
        load(tmp_path / "d")


def test_an_image_that_cannot_be_read_is_named_by_its_row(
    tmp_path: Path, write: Callable[..., None], load: Callable[..., Any]
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    write(tmp_path / "d" / "train.parquet")
    cells = [{"bytes": b"no image", "path": "x"}] * 2
    parquet.write_table(arrow.table({"img": cells, "label": [0, 1]}), tmp_path / "d/test.parquet")
    with pytest.raises(DataError, match=r"test\.parquet row 0"):
        load(tmp_path / "d")


def test_without_its_package_it_is_reported(
    tmp_path: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "train.parquet").touch()
    (tmp_path / "test.parquet").touch()
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatmError, match=r"reading train\.parquet takes a package") as result:
        load(tmp_path)
    assert fix_text(result.value.fix) == "pip install 'datm[parquet]'"


def test_photographs_are_turned_upright_and_deep_greys_scaled(
    tmp_path: Path, load: Callable[..., Any], picture: Picture
) -> None:
    arrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    exif = Image.Exif()
    exif[0x0112] = 6
    drawn = [picture(n, 4, 6).astype(np.uint16) * 16 for n in range(2)]
    drawn[1][0, 0] = 4095
    for part, pixels in zip(("train", "test"), drawn, strict=True):
        content = io.BytesIO()
        Image.fromarray(np.ascontiguousarray(np.rot90(pixels))).save(content, "PNG", exif=exif)
        cells = [{"bytes": content.getvalue(), "path": None}] * 2
        table = arrow.table({"image": cells, "label": [0, 1]})
        parquet.write_table(table, tmp_path / f"{part}.parquet")
    assert datasets.peek(str(tmp_path), data_dir=tmp_path) == Shape(2, 1, 4, 6)
    data, events = load(tmp_path)
    for part, pixels in zip((data.train, data.test), drawn, strict=True):
        wanted = (pixels.astype(int) * 255 + 2047) // 4095
        assert part.images[0, 0].tolist() == wanted.tolist()
    assert "divided by 4095" in events[-1].text
