"""Which images a folder is found to hold, of which class, and what is said when it will not do."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData, Shape
from datm_engine.data.decoding import decode_images
from datm_engine.errors import DataError
from datm_engine.hints import fix_text

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


def content(data: RealData) -> list[Any]:
    return [data.class_names, data.train.images.tolist(), data.test.images.tolist()]


def test_a_folder_is_read_pixel_for_pixel(load: Load, folder: Path, picture: Picture) -> None:
    pets, _ = load(folder)
    assert pets.name == "pets"
    assert pets.class_names == ("cat", "dog")
    assert pets.shape == (3, 6, 6)
    assert pets.train.labels.tolist() == [0] * 4 + [1] * 4
    assert pets.test.labels.tolist() == [0] * 2 + [1] * 2
    # the fixture drew dogs first: seeds 0-3 dog, 4-7 cat, 8-9 test dog, 10-11 test cat
    for part, seeds in ((pets.train, [4, 5, 6, 7, 0, 1, 2, 3]), (pets.test, [10, 11, 8, 9])):
        drawn = np.stack([picture(seed) for seed in seeds]).transpose(0, 3, 1, 2)
        assert part.images.numpy().tolist() == drawn.tolist()


def test_validation_may_be_named_val_and_images_may_lie_deeper(load: Load, folder: Path) -> None:
    before = content(load(folder)[0])
    (folder / "test").rename(folder / "val")
    deeper = folder / "train" / "cat" / "images"
    deeper.mkdir()
    for image in (folder / "train" / "cat").glob("*.png"):
        image.rename(deeper / image.name)
    assert content(load(folder)[0]) == before


def test_deeper_images_come_in_the_order_of_their_names(load: Load, folder: Path) -> None:
    shades = [4, 1, 7, 3, 0, 6, 2, 5]
    for shade in shades:
        (folder / "test" / "dog" / f"day{shade}").mkdir()
        Image.new("RGB", (6, 6), (shade,) * 3).save(folder / f"test/dog/day{shade}/0.png")
    assert load(folder)[0].test.images[4:, 0, 0, 0].tolist() == list(range(8))


def test_a_test_folder_without_classes_gives_way_to_val(load: Load, folder: Path) -> None:
    before = content(load(folder)[0])
    (folder / "test").rename(folder / "val")
    (folder / "test" / "images").mkdir(parents=True)
    Image.new("RGB", (6, 6)).save(folder / "test" / "images" / "unlabelled.png")
    assert content(load(folder)[0]) == before


def test_what_is_no_image_is_skipped(load: Load, folder: Path) -> None:
    before = content(load(folder)[0])
    (folder / "train" / "cat" / "Thumbs.db").write_bytes(b"no image")
    (folder / "train" / "cat" / "._0.png").write_bytes(b"no image")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    (folder / "train" / "dog" / ".thumbnails").mkdir()
    Image.new("RGB", (2, 2)).save(folder / "train" / "dog" / ".thumbnails" / "0.png")
    (folder / "train" / "notes.txt").write_text("no class")
    assert content(load(folder)[0]) == before


def test_images_and_classes_may_be_links(load: Load, folder: Path, tmp_path: Path) -> None:
    before = content(load(folder)[0])
    elsewhere = tmp_path / "elsewhere"
    (folder / "train" / "cat").rename(elsewhere)
    (folder / "train" / "cat").symlink_to(elsewhere)
    (elsewhere / "0.png").rename(tmp_path / "first.png")
    (elsewhere / "0.png").symlink_to(tmp_path / "first.png")
    (elsewhere / "round").symlink_to(elsewhere)
    assert content(load(folder)[0]) == before


def test_peeking_looks_at_one_image_a_class(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    size_of = decode_images.size_of
    monkeypatch.setattr(
        decode_images, "size_of", lambda path: (seen.append(path), size_of(path))[1]
    )
    assert datasets.peek(str(folder), data_dir=tmp_path) == Shape(2, 3, 6, 6)
    assert [path.parent.name for path in seen] == ["cat", "dog"]
    Image.new("L", (9, 9)).save(folder / "train" / "cat" / "0.png")
    assert datasets.peek(str(folder), data_dir=tmp_path) == Shape(2, 3, None, None)


def test_peeking_at_what_lacks_train_says_so(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no train/ folder"):
        datasets.peek(str(tmp_path), data_dir=tmp_path)


def refused(load: Load, root: Path) -> DataError:
    with pytest.raises(DataError) as error:
        load(root)
    assert fix_text(error.value.fix)
    return error.value


def test_an_empty_class_is_refused(load: Load, folder: Path) -> None:
    (folder / "train" / "cow").mkdir()
    (folder / "train" / "cow" / "readme.txt").write_text("none yet")
    error = refused(load, folder)
    assert error.message.startswith(f"class cow has no images: {folder}/train/cow")


def test_one_class_is_refused(load: Load, folder: Path) -> None:
    (folder / "train" / "dog").rename(folder / "train" / ".dog")
    assert "has 1 class folders, at least 2" in refused(load, folder).message


def test_classes_that_differ_are_named(load: Load, folder: Path) -> None:
    (folder / "test" / "dog").rename(folder / "test" / "cow")
    error = refused(load, folder)
    assert f"classes differ: dog in {folder}/train but not in {folder}/test" in error.message
    (folder / "train" / "dog").rename(folder / "train" / "cow")
    (folder / "test" / "owl").mkdir()
    Image.new("RGB", (6, 6)).save(folder / "test" / "owl" / "0.png")
    assert f"owl in {folder}/test but not in {folder}/train" in refused(load, folder).message


@pytest.mark.parametrize("bytes_kept", [0, 8, 60])
def test_a_corrupted_image_is_named(load: Load, folder: Path, bytes_kept: int) -> None:
    path = folder / "train" / "dog" / "1.png"
    path.write_bytes(path.read_bytes()[:bytes_kept])
    error = refused(load, folder)
    assert str(path) in error.message
    assert "not a readable image" in error.message
    assert str(path) in fix_text(error.fix)
    assert "BytesIO" not in error.message


def test_a_broken_link_is_named(load: Load, folder: Path) -> None:
    (folder / "train" / "dog" / "9.png").symlink_to(folder / "gone.png")
    assert "9.png cannot be read: No such file" in refused(load, folder).message


@pytest.mark.parametrize("place", ["train/dog/1.png", "train/dog", "train", "test/cat", "."])
def test_what_may_not_be_read_is_named(load: Load, folder: Path, place: str) -> None:
    path = folder / place
    path.chmod(0)
    try:
        if os.access(path, os.R_OK):
            pytest.skip("this user may read everything")
        error = refused(load, folder)
    finally:
        path.chmod(0o700)
    assert "cannot be read: Permission denied" in error.message
    assert str(path) in error.message


def test_an_unreadable_folder_is_named_whoever_runs_this(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def deny(place: Any) -> Iterator[Any]:
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    monkeypatch.setattr(os, "scandir", deny)
    message = refused(load, folder).message
    assert message == f"{folder}/train/cat cannot be read: Permission denied"


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(load: Load, folder: Path) -> None:
    for part in ("train", "test"):
        try:
            os.rename(os.fsencode(folder / part / "cat"), os.fsencode(folder / part) + b"/caf\xe9")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    assert load(folder)[0].class_names == ("caf\ufffd", "dog")
