"""Columns, labels and images of parquet files in all usual forms."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.errors import DataError
from datm_engine.settings.image_size import Shape

from .conftest import LABELS, encoded, notes
from .test_parquet_parts import first_pixels, table

Load = Callable[..., Any]

Write = Callable[..., None]

Picture = Callable[..., np.ndarray]

PETS = {"names": ["cat", "dog"]}


def test_files_whose_class_names_differ_are_refused(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    write(tmp_path / "d" / "train.parquet", **PETS)
    write(tmp_path / "d" / "test.parquet", names=["dog", "cat"])
    with pytest.raises(
        DataError, match=r"class names differ: cat, dog in .*train\.parquet, dog, c"
    ):
        load(tmp_path / "d")


@pytest.mark.parametrize("missing", [-1, None])
def test_rows_without_a_label_among_others_are_refused_by_file_and_row(
    missing: int | None, tmp_path: Path, load: Load, picture: Picture
) -> None:
    cells = [encoded(picture(n)) for n in range(4)]
    table(tmp_path / "d" / "train.parquet", image=cells, label=[0, 1, 0, 1])
    path = table(tmp_path / "d" / "test.parquet", image=cells, label=[0, 1, missing, 1])
    with pytest.raises(DataError) as error:
        load(tmp_path / "d")
    assert error.value.message == (
        f"{path} row 2 has no label ({missing}), but 3 other rows of this part have one; remove "
        "the rows without labels"
    )


@pytest.mark.parametrize("image", ["img", "image", "Images", "jpg", "pixel_values"])
@pytest.mark.parametrize("label", ["label", "labels", "Target", "class", "y"])
def test_columns_of_usual_names_are_read(
    image: str, label: str, tmp_path: Path, load: Load, picture: Picture
) -> None:
    cells = [encoded(picture(n)) for n in range(4)]
    for part in ("train", "test"):
        table(tmp_path / "d" / f"{part}.parquet", id=[1, 2, 3, 4], **{image: cells, label: LABELS})
    data, events = load(tmp_path / "d")
    assert data.train.labels.tolist() == LABELS
    assert np.array_equal(data.train.images[3].numpy(), picture(3).transpose(2, 0, 1))
    assert notes(events) == []


def test_of_several_label_columns_the_first_of_a_fixed_order_is_read_and_reported(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    cells = [encoded(picture(n)) for n in range(4)]
    for part in ("train", "test"):
        path = tmp_path / "d" / f"{part}.parquet"
        table(path, image=cells, target=[0] * 4, label=[1] * 4, fine_label=LABELS)
    data, events = load(tmp_path / "d")
    assert data.train.labels.tolist() == LABELS
    assert notes(events)[0].endswith("train.parquet: column fine_label is read, not label, target")


def test_columns_of_other_names_are_found_by_the_types_that_the_schema_states(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    for part in ("train", "test"):
        write(tmp_path / "d" / f"{part}.parquet", image="scan", label="diagnosis", **PETS)
    assert load(tmp_path / "d")[0].class_names == ("cat", "dog")


def test_labels_that_are_strings_are_classes_sorted_by_name(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    cells = [encoded(picture(n)) for n in range(4)]
    table(tmp_path / "d" / "train.parquet", image=cells, label=["dog", "cat", "cow", "cat"])
    test = table(tmp_path / "d" / "test.parquet", image=cells[:2], label=["cow", "dog"])
    data, _ = load(tmp_path / "d")
    assert data.class_names == ("cat", "cow", "dog")
    assert data.train.labels.tolist() == [2, 0, 1, 0]
    assert data.test.labels.tolist() == [1, 2]
    assert datasets.peek(str(tmp_path / "d"), data_dir=tmp_path) == Shape(3, 3, 6, 6)
    table(test, image=cells[:1], label=["horse"])
    with pytest.raises(DataError, match="a label horse, which train does not have"):
        load(tmp_path / "d")


@pytest.mark.parametrize(
    ("stored", "names", "read"),
    [
        ([1, 2, 3, 1], ("1", "2", "3"), [0, 1, 2, 0]),
        ([0.0, 1.0, 2.0, 0.0], ("0", "1", "2"), [0, 1, 2, 0]),
        ([True, False, True, False], ("0", "1"), [1, 0, 1, 0]),
    ],
)
def test_numbers_from_1_floats_and_truth_values_are_class_numbers(
    stored: list[Any], names: tuple[str, ...], read: list[int], tmp_path: Path, load: Load,
    picture: Picture,
) -> None:  # fmt: skip
    cells = [encoded(picture(n)) for n in range(4)]
    for part in ("train", "test"):
        table(tmp_path / "d" / f"{part}.parquet", image=cells, label=stored)
    data, _ = load(tmp_path / "d")
    assert data.class_names == names
    assert data.train.labels.tolist() == read


def test_images_may_be_paths_inside_the_folder_and_never_outside(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    (tmp_path / "secret.png").write_bytes(encoded(picture(9)))
    images = tmp_path / "d" / "images"
    images.mkdir(parents=True)
    for n in range(4):
        (images / f"{n}.png").write_bytes(encoded(picture(n)))
    cells = [{"bytes": None, "path": f"images/{n}.png"} for n in range(4)]
    table(tmp_path / "d" / "train.parquet", image=cells, label=LABELS)
    plain = [f"../images/{n}.png" for n in range(4)]
    test = table(tmp_path / "d" / "data" / "test.parquet", image=plain, label=LABELS)
    data, _ = load(tmp_path / "d")
    assert np.array_equal(data.train.images[2].numpy(), picture(2).transpose(2, 0, 1))
    assert np.array_equal(data.test.images[3].numpy(), picture(3).transpose(2, 0, 1))
    (images / "link.png").symlink_to(tmp_path / "secret.png")
    for outside in ("../../secret.png", str(tmp_path / "secret.png"), "../images/link.png"):
        table(test, image=[outside] * 4, label=LABELS)
        with pytest.raises(DataError, match=f"names the file {outside}, which is outside"):
            load(tmp_path / "d")
    table(test, image=["gone.png"] * 4, label=LABELS)
    with pytest.raises(DataError, match=r"test\.parquet row 0 names .*gone\.png, which cannot be"):
        load(tmp_path / "d")


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 1), (5, 6, 3)])
def test_images_may_be_nested_lists_of_pixels(
    shape: tuple[int, ...], tmp_path: Path, load: Load, picture: Picture
) -> None:
    pixels = [picture(n, *shape) for n in range(4)]
    for part in ("train", "test"):
        cells = [some.tolist() for some in pixels]
        table(tmp_path / "d" / f"{part}.parquet", image=cells, label=LABELS)
    data, _ = load(tmp_path / "d")
    wanted = np.stack(pixels).reshape(4, 5, 6, -1).transpose(0, 3, 1, 2)
    assert np.array_equal(data.train.images.numpy(), wanted)


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        ([[0, 256], [0, 0]], "numbers from 0 to 256"),
        ([[0.5, 0.5], [0.5, 0.5]], "of type float64"),
        ([1, 2, 3], r"numbers \[3\]"),
        ([[1], [2, 3]], r"numbers \[0\]"),
        (None, "holds no image"),
    ],
)
def test_cells_that_are_no_images_are_refused_by_row(
    cell: Any, message: str, tmp_path: Path, load: Load
) -> None:
    for part in ("train", "test"):
        table(tmp_path / "d" / f"{part}.parquet", image=[cell] * 2, label=[0, 1])
    with pytest.raises(DataError, match=rf"train\.parquet row 0 .*{message}"):
        load(tmp_path / "d")


def test_grey_images_of_parquet_have_one_channel(tmp_path: Path, load: Load) -> None:
    content = io.BytesIO()
    Image.new("L", (4, 4), 7).save(content, "PNG")
    for part in ("train", "test"):
        cells = [content.getvalue()] * 2
        table(tmp_path / "d" / f"{part}.parquet", image=cells, label=[0, 1])
    data, _ = load(tmp_path / "d")
    assert data.train.images.shape == (2, 1, 4, 4)
    assert first_pixels(data.train.images) == [7, 7]
