"""Which parquet files of a folder are which part: names, folders, configurations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datm_engine.data import datasets
from datm_engine.errors import DataError
from datm_engine.hints import fix_text
from datm_engine.settings.image_size import Shape

from .conftest import LABELS, counted, encoded, notes

Load = Callable[..., Any]

Write = Callable[..., None]

Picture = Callable[..., np.ndarray]

PETS = {"names": ["cat", "dog"]}


def table(path: Path, **columns: Any) -> Path:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path.parent.mkdir(parents=True, exist_ok=True)
    parquet.write_table(arrow.table(columns), path)
    return path


def first_pixels(images: Any) -> list[int]:
    return [int(value) for value in images[:, 0, 0, 0]]


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("default/train/0000.parquet", "default/test/0000.parquet"),
        ("a/b/c/Training/0.parquet", "a/b/c/Testing/0.parquet"),
        ("Train.parquet", "TEST.PARQUET"),
        ("train_00.parquet", "test_00.parquet"),
        ("mnist_train.parquet", "mnist_test.parquet"),
        ("pets-train-00000-of-00002-a09b74b3.parquet", "pets-test-00000-of-00001-0c1.parquet"),
        ("train/shard/0.parquet", "test/shard/0.parquet"),
        ("train.parquet/part-0-1f.parquet", "test.parquet/part-0-2e.parquet"),
        ("one/train.parquet", "two/test.parquet"),
        ("train.parquet", "valid.parquet"),
    ],
)
def test_parts_are_found_at_any_depth_and_in_any_letter_case(
    train: str,
    test: str,
    tmp_path: Path,
    write: Write,
    load: Load,
    picture: Picture,
) -> None:
    write(tmp_path / "d" / train, **PETS)
    write(tmp_path / "d" / test, seed=10, **PETS)
    data, _ = load(tmp_path / "d")
    assert np.array_equal(data.train.images[0].numpy(), picture(0).transpose(2, 0, 1))
    assert np.array_equal(data.test.images[0].numpy(), picture(10).transpose(2, 0, 1))
    assert (len(data.train), len(data.test), len(data.validation)) == (4, 4, 0)


def test_three_parts_are_what_they_are_named(
    tmp_path: Path,
    write: Write,
    load: Load,
    picture: Picture,
) -> None:
    for seed, part in ((0, "train"), (10, "validation"), (20, "test")):
        write(tmp_path / "d" / f"{part}-00000-of-00001.parquet", seed=seed, **PETS)
    data, events = load(tmp_path / "d", validation=0.5)
    assert len(data.train) == 4
    assert np.array_equal(data.validation.images[0].numpy(), picture(10).transpose(2, 0, 1))
    assert np.array_equal(data.test.images[0].numpy(), picture(20).transpose(2, 0, 1))
    assert "d has a validation part of 4 images: it is used" in notes(events)[0]


def test_files_of_no_part_are_one_set_of_which_a_share_is_held_out(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    write(tmp_path / "d" / "data.parquet", labels=[0, 1] * 5, **PETS)
    data, events = load(tmp_path / "d")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert "d has no labelled test part: 2 of 10 images" in notes(events)[-1]
    assert counted(tmp_path / "d", tmp_path) == (8, False)
    alone, _ = load(tmp_path / "d" / "data.parquet")
    assert alone.train.images.equal(data.train.images)


def test_one_file_stands_for_the_parts_beside_it(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    write(tmp_path / "d" / "train.parquet", **PETS)
    write(tmp_path / "d" / "test.parquet", labels=[0, 1], **PETS)
    data, _ = load(tmp_path / "d" / "train.parquet")
    assert (len(data.train), len(data.test)) == (4, 2)


def test_configurations_are_refused_and_named_whether_or_not_their_classes_agree(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    for names in (["round", "square"], ["cat", "dog"]):
        write(tmp_path / "d" / "colour" / "train-00000-of-00001.parquet", **PETS)
        write(tmp_path / "d" / "colour" / "test-00000-of-00001.parquet", **PETS)
        write(tmp_path / "d" / "shape" / "train-00000-of-00001.parquet", names=names)
        for attempt in (
            lambda: load(tmp_path / "d"),
            lambda: datasets.peek(str(tmp_path / "d"), data_dir=tmp_path),
        ):
            with pytest.raises(DataError) as error:
                attempt()
            assert error.value.message == (
                f"{tmp_path / 'd'} has 2 configurations, each with a train part: colour, shape; "
                "choose one"
            )
            assert fix_text(error.value.fix) == f"--dataset {tmp_path / 'd' / 'colour'}"
        assert load(tmp_path / "d" / "colour")[0].class_names == ("cat", "dog")


def test_folders_below_a_part_are_its_shards(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    for shard in range(2):
        write(tmp_path / "d" / "train" / f"{shard}" / "0.parquet", seed=4 * shard, **PETS)
    write(tmp_path / "d" / "test" / "0" / "0.parquet", seed=8, **PETS)
    assert len(load(tmp_path / "d")[0].train) == 8


def test_files_of_other_parts_are_skipped_and_named(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    write(tmp_path / "d" / "train.parquet", **PETS)
    write(tmp_path / "d" / "test.parquet", **PETS)
    write(tmp_path / "d" / "extra-00000-of-00001.parquet", **PETS)
    data, events = load(tmp_path / "d")
    assert len(data.train) == 4
    assert notes(events) == [
        "1 parquet file is of no part that is used, and skipped: extra-00000-of-00001.parquet"
    ]


def test_a_test_part_without_labels_leaves_its_place_to_the_validation_part(
    tmp_path: Path,
    write: Write,
    load: Load,
) -> None:
    for name, labels in (("train", LABELS), ("validation", [1, 0]), ("test", [-1, -1, -1])):
        write(tmp_path / "d" / f"{name}-00000-of-00001.parquet", labels=labels, **PETS)
    data, events = load(tmp_path / "d")
    assert data.test.labels.tolist() == [1, 0]
    assert len(data.validation) == 0
    assert notes(events) == [
        "d: its test part has no labels and is not used",
        "d has no labelled test part: its validation part is used as the test part",
    ]


def test_without_any_labelled_part_but_train_a_share_is_held_out(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    cells = [encoded(picture(n)) for n in range(10)]
    table(tmp_path / "d" / "train.parquet", image=cells, label=[0, 1] * 5)
    table(tmp_path / "d" / "test.parquet", image=cells[:2], label=[None, None])
    data, events = load(tmp_path / "d")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert notes(events)[0] == "d: its test part has no labels and is not used"


def test_tables_below_class_folders_are_skipped_at_any_depth(folder: Path, load: Load) -> None:
    (folder / "train" / "cat" / "train.parquet").write_bytes(b"a table of something")
    assert load(folder)[0].class_names == ("cat", "dog")


def test_tables_beside_images_in_a_folder_of_a_part_are_skipped(
    folder: Path, write: Write, load: Load
) -> None:
    plain = load(folder)[0]
    write(folder / "train" / "metadata.parquet")
    assert load(folder)[0].fingerprint == plain.fingerprint
    (folder / "train" / "0.png").write_bytes(b"")
    assert datasets.peek(str(folder), data_dir=folder.parent) == Shape(2, 3, 6, 6)


def test_images_beside_the_folders_of_tables_change_nothing(
    tmp_path: Path, write: Write, load: Load
) -> None:
    write(tmp_path / "d" / "train" / "0.parquet", **PETS)
    write(tmp_path / "d" / "test" / "0.parquet", **PETS)
    (tmp_path / "d" / "assets").mkdir()
    (tmp_path / "d" / "assets" / "logo.png").write_bytes(encoded(np.zeros((4, 4, 3), np.uint8)))
    assert len(load(tmp_path / "d")[0].train) == 4


@pytest.mark.parametrize("validation", [False, True])
def test_a_test_part_without_labels_is_none_to_count_by(
    validation: bool, tmp_path: Path, write: Write, load: Load
) -> None:
    root = tmp_path / "d"
    write(root / "train.parquet", labels=[0, 1] * 5, **PETS)
    write(root / "test.parquet", labels=[-1] * 4, **PETS)
    if validation:
        write(root / "validation.parquet", labels=[0, 1], **PETS)
    data, _ = load(root)
    assert len(data.train) == (10 if validation else 8)
    assert counted(root, tmp_path) == (len(data.train), False)


def test_no_file_is_left_open(
    tmp_path: Path, write: Write, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    files: list[Any] = []

    class Remembered(parquet.ParquetFile):  # type: ignore[misc]
        def __init__(self, path: Path) -> None:
            files.append(self)
            super().__init__(path)

    for shard in range(3):
        name = f"train-0000{shard}-of-00003.parquet"
        write(tmp_path / "d" / name, seed=shard, **PETS)
    monkeypatch.setattr(parquet, "ParquetFile", Remembered)
    load(tmp_path / "d")
    datasets.peek(str(tmp_path / "d"), data_dir=tmp_path)
    assert len(files) > 6
    assert all(file.closed for file in files)
