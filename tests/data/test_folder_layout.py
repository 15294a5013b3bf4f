"""Where the parts of a folder of images may be, and what is reported of the rest."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData
from datm_engine.errors import DataError
from datm_engine.hints import fix_text

from .conftest import agrees, counts, notes

Load = Callable[..., tuple[RealData, list[Any]]]


Photos = Callable[..., Path]

Fill = Callable[..., Path]


@pytest.mark.parametrize("train", ["train", "Training", "training_set", "TRAIN", "Train Set"])
@pytest.mark.parametrize("test", ["test", "Test", "testing", "test_set", "TEST"])
def test_parts_go_by_any_usual_name(
    load: Load, photos: Photos, tmp_path: Path, train: str, test: str
) -> None:
    root = photos(**{train: 3, test: 2})
    data, events = load(root, validation=0.3)
    assert counts(data) == (4, 2, 4)
    assert notes(events) == []


@pytest.mark.parametrize("name", ["val", "valid", "Validation", "dev"])
def test_a_validation_part_without_a_test_part_serves_as_one(
    load: Load, photos: Photos, tmp_path: Path, name: str
) -> None:
    root = photos(train=3, **{name: 2})
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert notes(events) == [f"{root} has no labelled test part: {name}/ is used as one"]
    agrees(root, data, tmp_path)


def test_of_three_parts_each_is_what_it_is(load: Load, photos: Photos, tmp_path: Path) -> None:
    root = photos(train=5, valid=2, test=3)
    data, events = load(root, validation=0.5)
    assert counts(data) == (10, 4, 6)
    assert notes(events) == [
        "photos has a validation part of 4 images: it is used, and dataset.validation is not "
        "applied"
    ]
    # the fixture drew training cats first, then dogs, then the validation part
    first = Image.open(root / "valid" / "cat" / "0.png")
    assert data.validation.images[0].permute(1, 2, 0).tolist() == np.asarray(first).tolist()
    assert data.validation.labels.tolist() == [0, 0, 1, 1]
    agrees(root, data, tmp_path)
    again, said = load(root, validation=0.5)  # from the kept copy
    assert counts(again) == counts(data)
    assert again.fingerprint == data.fingerprint
    assert notes(said) == notes(events)


@pytest.mark.parametrize("part", ["train", "root"])
def test_without_a_test_part_a_share_of_each_class_is_held_out(
    load: Load, photos: Photos, tmp_path: Path, part: str
) -> None:
    root = photos(**{part: 10})
    data, events = load(root)
    assert torch.bincount(data.train.labels).tolist() == [8, 8]
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    everything = torch.cat([data.train.images, data.test.images]).flatten(1)
    assert len({bytes(row.numpy()) for row in everything}) == 20
    assert notes(events) == [
        "photos has no labelled test part: 4 of 20 images, 20% of each class, are held out as one "
        "(dataset.test, dataset.seed)"
    ]
    agrees(root, data, tmp_path)
    assert load(root)[0].fingerprint == data.fingerprint
    assert load(root, seed=1)[0].fingerprint != data.fingerprint
    assert counts(load(root, test=0.5)[0]) == (10, 0, 10)


def test_two_folders_of_one_part_are_refused(load: Load, photos: Photos) -> None:
    root = photos(train=1, Training=1, test=1)
    if len(list(root.iterdir())) < 3:
        pytest.skip("this file system knows no letter case")
    with pytest.raises(DataError) as error:
        load(root)
    assert error.value.message == (
        f"{root} has 2 folders for the train part: Training/ and train/; only one of them can be "
        "used"
    )
    assert fix_text(error.value.fix) == f"mv {root}/train {root.parent}/photos-train"


@pytest.mark.parametrize("part", ["train", "root"])
def test_an_unpacked_archive_is_found_one_folder_deeper(
    load: Load, photos: Photos, tmp_path: Path, part: str
) -> None:
    root = photos(**{f"pets/{part}": 5}).rename(tmp_path / "unpacked")
    data, events = load(root)
    assert counts(data) == (8, 0, 2)
    assert notes(events)[0] == f"{root} holds one folder, pets/: that is the dataset"
    agrees(root, data, tmp_path)


@pytest.mark.parametrize("part", ["train", "root"])
def test_so_it_is_several_folders_deeper(
    load: Load, photos: Photos, fill: Fill, tmp_path: Path, part: str
) -> None:
    root = photos(**{f"data/images/{part}": 5}).rename(tmp_path / "unpacked")
    data, events = load(root)
    assert counts(data) == (8, 0, 2)
    assert notes(events)[0] == f"{root} holds one folder, data/images/: that is the dataset"
    agrees(root, data, tmp_path)
    fill(root / "data", 1)  # a class then, not what is around a dataset
    with pytest.raises(DataError, match="unpacked has no train/ folder"):
        load(root)


@pytest.mark.parametrize(("train", "test"), [("train", "test"), ("Training", "val")])
def test_parts_inside_of_class_folders_are_used(
    load: Load, fill: Fill, tmp_path: Path, train: str, test: str
) -> None:
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        fill(root / name / train, 3)
        fill(root / name / test, 2)
    fill(root, 1)
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == [0] * 3 + [1] * 3
    assert data.test.labels.tolist() == [0] * 2 + [1] * 2
    first = np.asarray(Image.open(root / "dog" / test / "0.png"))
    assert data.test.images[2].permute(1, 2, 0).tolist() == first.tolist()
    part = {"test": "test", "val": "validation"}[test]
    assert notes(events)[0] == f"{root} has the parts inside of its class folders: train, {part}"
    assert notes(events)[-1] == f"1 image directly in {root}: not used"
    agrees(root, data, tmp_path)


def test_a_class_without_images_in_a_part_of_its_own_is_named(
    load: Load, fill: Fill, tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        fill(root / name / "train", 3)
        fill(root / name / "test", 2 if name == "cat" else 0)
    with pytest.raises(
        DataError, match=r"classes differ: dog in .*CLASS/train but not in"
    ) as error:
        load(root)
    assert fix_text(error.value.fix) == f"ls {root}"


@pytest.mark.parametrize("beside", ["image", "folder", "class", "part"])
def test_part_folders_inside_of_some_class_folders_are_read_as_one_and_reported(
    load: Load, fill: Fill, tmp_path: Path, beside: str
) -> None:
    root = tmp_path / "photos"
    for name in ("cat", "dog"):
        fill(root / name / "train", 3)
        fill(root / name / "test", 2)
    place = {"image": "dog", "folder": "dog/other", "class": "owl", "part": "dog/val"}[beside]
    fill(root / place, 5)
    data, events = load(root)
    assert counts(data) == (12, 0, 3)
    assert notes(events)[0] == (
        f"class folders with part folders inside are read as one part: {root}/cat and 1 more"
    )


def test_images_around_an_unpacked_archive_are_reported(
    load: Load, photos: Photos, fill: Fill, tmp_path: Path
) -> None:
    root = photos(**{"pets/root": 5}).rename(tmp_path / "unpacked")
    fill(root, 2)
    fill(root / "pets", 1)
    assert notes(load(root)[1])[1:3] == [
        f"1 image directly in {root}/pets, of no class: not used",
        f"2 images directly in {root}: not used",
    ]


def test_a_part_inside_a_folder_of_its_name_is_found(
    load: Load, photos: Photos, tmp_path: Path
) -> None:
    root = photos(**{"training_set/training_set": 3, "test_set/test_set": 2})
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert notes(events) == [
        f"{root}/test_set holds one folder, test_set/: that is the test part",
        f"{root}/training_set holds one folder, training_set/: that is the train part",
    ]
    agrees(root, data, tmp_path)


@pytest.mark.parametrize("below", ["", "images"])
@pytest.mark.parametrize("labelled", [True, False])
def test_unlabelled_test_images_are_not_used(
    load: Load, photos: Photos, fill: Fill, tmp_path: Path, below: str, labelled: bool
) -> None:
    root = photos(train=10, **({"val": 2} if labelled else {}))
    fill(root / "test" / below, 5)
    (root / "sample_submission.csv").write_text("id,label\n0,cat\n")
    data, events = load(root)
    assert notes(events)[0] == f"5 unlabelled images in {root}/test: not used"
    assert ("val/ is used as one" if labelled else "are held out as one") in notes(events)[1]
    assert counts(data) == ((20, 0, 4) if labelled else (16, 0, 4))
    agrees(root, data, tmp_path)


def test_a_test_part_without_images_is_reported(load: Load, photos: Photos) -> None:
    root = photos(train=10)
    (root / "test" / "cat").mkdir(parents=True)
    data, events = load(root)
    assert counts(data) == (16, 0, 4)
    assert notes(events)[0] == f"{root}/test, empty: not used"


def test_images_of_no_class_and_of_no_part_are_reported(
    load: Load, photos: Photos, fill: Fill
) -> None:
    root = photos(train=3, test=2)
    for place, count in (("train", 2), ("test", 1), ("extra/cat", 1), ("", 3)):
        fill(root / place, count)
    (root / "labels").mkdir()
    (root / "labels" / "0.txt").write_text("0 0 0 1 1")
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert notes(events) == [
        f"2 images directly in {root}/train, of no class: not used",
        f"1 image directly in {root}/test, of no class: not used",
        f"3 images directly in {root}: not used",
        f"images in {root}/extra are of no part: not used",
    ]


def test_class_folders_that_differ_in_case_only_are_one_class(load: Load, photos: Photos) -> None:
    root = photos(train=3, test=2)
    (root / "test" / "cat").rename(root / "test" / "Cat")
    data, events = load(root)
    assert data.class_names == ("cat", "dog")
    assert torch.bincount(data.test.labels).tolist() == [2, 2]
    assert notes(events) == [f"{root}/test/Cat is taken as class cat: only the letter case differs"]


def test_a_validation_part_may_lack_classes_but_has_no_others(
    load: Load, photos: Photos, fill: Fill
) -> None:
    root = photos(train=3, test=2)
    fill(root / "val" / "dog", 2)
    data, events = load(root)
    assert data.validation.labels.tolist() == [1, 1]
    assert notes(events)[0] == f"{root}/val has no images of 1 of the classes"
    fill(root / "val" / "cow", 1)
    with pytest.raises(DataError, match=r"classes differ: cow in .*val but not in .*train"):
        load(root)


@pytest.mark.parametrize("name", ["test", "valid"])
def test_a_test_part_beside_class_folders_is_refused(
    load: Load, photos: Photos, fill: Fill, name: str
) -> None:
    root = photos(root=3)
    fill(root / name, 2)
    with pytest.raises(DataError) as error:
        load(root)
    assert f"{root} has no train/ folder, only {name}/; images stand in" in error.value.message


def test_class_folders_without_any_image_are_no_dataset(load: Load, tmp_path: Path) -> None:
    for name in ("scripts", "notes"):
        (tmp_path / "work" / name).mkdir(parents=True)
    for attempt in (load, lambda root: datasets.peek(str(root), data_dir=tmp_path)):
        with pytest.raises(DataError, match="work has no train/ folder; images stand in"):
            attempt(tmp_path / "work")
