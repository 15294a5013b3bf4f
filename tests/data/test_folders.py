"""Folders of images: what is found in them, that it is decoded once, and never stale."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datm_engine.data import datasets, decoding, folders
from datm_engine.data.datasets import ImageSet, RealData, Shape
from datm_engine.errors import ConfigError, DataError, FileError
from datm_engine.events import DatasetProgress, Noted

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


def content(data: RealData) -> list[Any]:
    return [data.class_names, data.train.images.tolist(), data.test.images.tolist()]


def decoded(events: list[Any]) -> bool:
    return any("decoding" in e.what for e in events if isinstance(e, DatasetProgress))


def kept_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "decoded").iterdir())


def test_a_folder_is_read_pixel_for_pixel(load: Load, folder: Path, picture: Picture) -> None:
    pets, events = load(folder)
    assert pets.name == "pets"
    assert pets.class_names == ("cat", "dog")
    assert pets.shape == (3, 6, 6)
    assert pets.train.labels.tolist() == [0] * 4 + [1] * 4
    assert pets.test.labels.tolist() == [0] * 2 + [1] * 2
    # the fixture drew dogs first: seeds 0-3 dog, 4-7 cat, 8-9 test dog, 10-11 test cat
    for part, seeds in ((pets.train, [4, 5, 6, 7, 0, 1, 2, 3]), (pets.test, [10, 11, 8, 9])):
        drawn = np.stack([picture(seed) for seed in seeds]).transpose(0, 3, 1, 2)
        assert part.images.numpy().tolist() == drawn.tolist()
    assert decoded(events)


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


def test_what_is_no_image_is_passed_over(load: Load, folder: Path) -> None:
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


def test_images_are_resized_to_the_resolution(load: Load, folder: Path) -> None:
    Image.new("RGB", (9, 13), "red").save(folder / "train" / "cat" / "9.png")
    pets, _ = load(folder, resolution=4)
    assert pets.shape == (3, 4, 4)
    assert pets.train.images[4].tolist() == [[[255] * 4] * 4, [[0] * 4] * 4, [[0] * 4] * 4]


def test_different_sizes_need_a_resolution(load: Load, folder: Path) -> None:
    Image.new("RGB", (9, 13)).save(folder / "train" / "dog" / "9.png")
    with pytest.raises(ConfigError, match=r"0\.png is 6×6, .*9\.png is 9×13") as error:
        load(folder)
    assert error.value.hint == "the same command with --resolution 6"


def test_images_need_not_be_square(load: Load, tmp_path: Path) -> None:
    for part in ("train", "test"):
        for name in ("a", "b"):
            (tmp_path / "wide" / part / name).mkdir(parents=True)
            Image.new("L", (5, 3)).save(tmp_path / "wide" / part / name / "0.png")
    assert load(tmp_path / "wide")[0].shape == (1, 3, 5)


def test_one_colour_image_makes_all_of_them_colour(load: Load, folder: Path) -> None:
    for path in folder.rglob("*.png"):
        Image.open(path).convert("L").save(path)
    assert load(folder)[0].shape == (1, 6, 6)
    Image.new("RGB", (6, 6), "blue").save(folder / "train" / "dog" / "9.png")
    pets, _ = load(folder)
    assert pets.shape == (3, 6, 6)
    assert pets.train.images[0, 0].equal(pets.train.images[0, 2])


def test_a_second_load_decodes_nothing(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = load(folder)
    monkeypatch.setattr(decoding, "decode", lambda *_: pytest.fail("decoded again"))
    second, events = load(folder)
    assert content(second) == content(first)
    assert second.fingerprint == first.fingerprint
    assert not decoded(events)


def test_changed_content_is_decoded_again_even_at_the_same_time_and_size(
    load: Load, folder: Path, picture: Picture
) -> None:
    path = folder / "train" / "cat" / "0.bmp"
    (folder / "train" / "cat" / "0.png").unlink()
    Image.fromarray(picture(50)).save(path)
    before, stamp = load(folder)[0], path.stat()
    Image.fromarray(picture(51)).save(path)
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (stamp.st_size, stamp.st_mtime_ns)
    after, events = load(folder)
    assert decoded(events)
    assert after.fingerprint != before.fingerprint
    assert after.train.images[0].tolist() == picture(51).transpose(2, 0, 1).tolist()


def test_moving_an_image_to_another_class_or_part_is_noticed(load: Load, folder: Path) -> None:
    load(folder)
    (folder / "train" / "cat" / "3.png").rename(folder / "train" / "dog" / "4.png")
    assert load(folder)[0].train.labels.tolist() == [0] * 3 + [1] * 5
    (folder / "train" / "dog" / "4.png").rename(folder / "test" / "cat" / "4.png")
    assert load(folder)[0].test.labels.tolist() == [0] * 3 + [1] * 2


def test_each_resolution_is_kept_by_itself(load: Load, folder: Path, tmp_path: Path) -> None:
    assert load(folder)[0].shape[1:] == (6, 6)
    assert load(folder, resolution=3)[0].shape[1:] == (3, 3)
    assert load(folder)[0].shape[1:] == (6, 6)
    assert len(kept_files(tmp_path)) == 2


def test_a_folder_that_moved_is_not_decoded_again(load: Load, folder: Path) -> None:
    load(folder)
    (folder.parent / "there").mkdir()
    moved = folder.rename(folder.parent / "there" / "pets")
    assert not decoded(load(moved)[1])


@pytest.mark.parametrize("damage", ["cut short", "other bytes", "other labels", "empty"])
def test_a_damaged_kept_file_is_decoded_again_and_said_so(
    load: Load, folder: Path, tmp_path: Path, damage: str
) -> None:
    before, _ = load(folder)
    (kept,) = kept_files(tmp_path)
    whole = bytearray(kept.read_bytes())
    if damage == "cut short":
        whole = whole[:-10]
    elif damage == "other bytes":
        whole[-1] ^= 1
    elif damage == "other labels":
        whole = whole.replace(b'["cat"', b'["cow"').replace(b'[\\"cat\\"', b'[\\"cow\\"')
        assert bytes(whole) != kept.read_bytes()
    else:
        whole.clear()
    kept.write_bytes(whole)
    after, events = load(folder)
    assert content(after) == content(before)
    assert [str(kept) in e.text for e in events if isinstance(e, Noted)] == [True]
    assert not decoded(load(folder)[1])


def test_an_image_that_changes_meanwhile_is_not_kept_under_the_old_name(
    load: Load, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = folders._key

    def change_then_key(*given: Any) -> str:
        Image.new("RGB", (6, 6)).save(folder / "train" / "dog" / "2.png")
        return key(*given)

    monkeypatch.setattr(folders, "_key", change_then_key)
    with pytest.raises(DataError, match=r"2\.png changed while it was being read"):
        load(folder)
    assert kept_files(tmp_path) == []


def test_progress_is_told_in_at_most_a_hundred_events(load: Load, folder: Path) -> None:
    for index in range(300):
        Image.new("L", (2, 2)).save(folder / "train" / "cat" / f"more{index}.png")
    _, events = load(folder, resolution=2)
    for what in ("reading pets", "decoding pets"):
        done = [e.done for e in events if e.what == what]
        assert done == sorted(set(done))
        assert done[-1] == 312
    assert 20 < len(events) <= 100


def test_peeking_looks_at_one_image_a_class(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    size_of = decoding.size_of
    monkeypatch.setattr(decoding, "size_of", lambda path: (seen.append(path), size_of(path))[1])
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
    assert error.value.hint
    return error.value


def test_a_folder_without_train_or_test_is_refused(load: Load, folder: Path) -> None:
    (folder / "test").rename(folder / "testing")
    error = refused(load, folder)
    assert error.message == f"{folder} has neither a test/ nor a val/ folder"
    assert "datm distill --dataset" in error.hint
    (folder / "train").rename(folder / "training")
    assert refused(load, folder).message == f"{folder} has no train/ folder"


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
    assert str(path) in error.hint
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


def test_a_data_dir_that_cannot_be_made_is_named(load: Load, folder: Path) -> None:
    file = folder.parent / "file"
    file.write_text("")
    with pytest.raises(FileError, match="file/data/decoded cannot be made") as error:
        load(folder, data_dir=file / "data")
    assert "--data-dir" in error.value.hint


def test_a_data_dir_that_cannot_be_written_is_named_before_decoding(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(decoding, "decode", lambda *_: pytest.fail("decoded"))
    with pytest.raises(FileError, match="decoded cannot be written") as error:
        load(folder)
    assert "--data-dir" in error.value.hint


def test_a_data_dir_that_can_only_be_read_still_serves_what_is_kept(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert len(load(folder)[0].train) == 8


def test_a_name_that_is_no_text_is_shown_as_well_as_can_be(load: Load, folder: Path) -> None:
    for part in ("train", "test"):
        try:
            os.rename(os.fsencode(folder / part / "cat"), os.fsencode(folder / part) + b"/caf\xe9")
        except OSError:
            pytest.skip("this file system takes UTF-8 names only")
    assert load(folder)[0].class_names == ("caf\ufffd", "dog")


class TestTinyImageNet:
    """The archive's layout in small: three classes, 2 + 1 images each, an unlabelled test."""

    CLASSES = ("n01443537", "n02002724", "n99999999")

    @pytest.fixture
    def archive(self, tmp_path: Path, picture: Picture) -> Path:
        root = tmp_path / "data" / "tiny-imagenet-200"
        (root / "val" / "images").mkdir(parents=True)
        (root / "test" / "images").mkdir(parents=True)
        lines = []
        for label, name in enumerate(self.CLASSES):
            (root / "train" / name / "images").mkdir(parents=True)
            (root / "train" / name / f"{name}_boxes.txt").write_text("0\t0\t1\t1\n")
            for index in range(2):
                image = Image.fromarray(picture(10 * label + index))
                image.save(root / "train" / name / "images" / f"{name}_{index}.JPEG")
            # in the archive the classes of val's images come in no order
            shade = Image.new("L", (6, 6), 100 + label)
            shade.save(root / "val" / "images" / f"val_{2 - label}.JPEG")
            lines.insert(0, f"val_{2 - label}.JPEG\t{name}\t0\t32\t44\t62\n")
        Image.new("RGB", (6, 6)).save(root / "test" / "images" / "test_0.JPEG")
        (root / "val" / "val_annotations.txt").write_text("".join(lines))
        (root / "wnids.txt").write_text("\n".join(reversed(self.CLASSES)))
        (root / "words.txt").write_text(
            "n01443537\tgoldfish, Carassius auratus\nn02002724\tblack stork, Ciconia nigra\n"
        )
        return root

    def check(self, tiny: RealData) -> None:
        assert tiny.class_names == ("goldfish", "black stork", "n99999999")
        assert tiny.shape == (3, 6, 6)
        assert tiny.train.labels.tolist() == [0, 0, 1, 1, 2, 2]
        assert tiny.test.labels.tolist() == [0, 1, 2]
        assert tiny.test.images[:, 0, 0, 0].tolist() == [100, 101, 102]

    def test_is_read_as_unpacked(self, load: Load, archive: Path) -> None:
        tiny, _ = load("tinyimagenet")
        assert tiny.name == "tinyimagenet"
        self.check(tiny)

    def test_is_read_by_path_too(self, load: Load, archive: Path) -> None:
        tiny, _ = load(archive)
        assert tiny.name == "tiny-imagenet-200"
        self.check(tiny)
        assert datasets.peek(str(archive), data_dir=archive) == Shape(3, 3, 6, 6)

    @pytest.mark.parametrize("deeper", ["", "images"])
    @pytest.mark.parametrize("annotations_left", [True, False])
    def test_is_read_with_val_already_in_class_folders(
        self, load: Load, archive: Path, deeper: str, annotations_left: bool
    ) -> None:
        val = archive / "val"
        for line in (val / "val_annotations.txt").read_text().splitlines():
            file, name, *_ = line.split("\t")
            (val / name / deeper).mkdir(parents=True)
            (val / "images" / file).rename(val / name / deeper / file)
        if not annotations_left:
            (val / "val_annotations.txt").unlink()
        self.check(load("tinyimagenet")[0])

    def test_says_where_to_unpack_it(self, load: Load, tmp_path: Path) -> None:
        with pytest.raises(DataError) as error:
            load("tinyimagenet")
        assert error.value.message == f"tinyimagenet is not at {tmp_path}/data/tiny-imagenet-200"
        assert f"unzip -q tiny-imagenet-200.zip -d {tmp_path}/data" in error.value.hint

    def test_names_an_image_that_is_annotated_but_missing(self, load: Load, archive: Path) -> None:
        (archive / "val" / "images" / "val_1.JPEG").unlink()
        with pytest.raises(DataError, match=r"val_annotations\.txt line 2: val_1\.JPEG is not in"):
            load("tinyimagenet")

    def test_names_an_image_without_annotation(self, load: Load, archive: Path) -> None:
        Image.new("L", (6, 6)).save(archive / "val" / "images" / "val_9.JPEG")
        with pytest.raises(DataError, match=r"does not say which class .*val_9\.JPEG is of"):
            load("tinyimagenet")

    def test_tells_of_classes_not_unpacked(self, load: Load, archive: Path) -> None:
        (archive / "train" / "n02002724").rename(archive / "elsewhere")
        with pytest.raises(DataError, match=r"classes differ: n02002724 in .*val but not in"):
            load("tinyimagenet")

    def test_two_classes_of_one_word_stay_apart(self, load: Load, archive: Path) -> None:
        (archive / "words.txt").write_text("n01443537\tcrane, bird\nn02002724\tcrane, machine\n")
        names = load("tinyimagenet")[0].class_names
        assert names == ("crane (n01443537)", "crane (n02002724)", "n99999999")

    def test_corrected_annotations_are_noticed(self, load: Load, archive: Path) -> None:
        load("tinyimagenet")
        path = archive / "val" / "val_annotations.txt"
        swapped = path.read_text().replace("n01443537", "x").replace("n02002724", "n01443537")
        path.write_text(swapped.replace("x", "n02002724"))
        tiny, _ = load("tinyimagenet")
        assert tiny.test.images[:, 0, 0, 0].tolist() == [101, 100, 102]

    def test_annotations_corrected_in_place_are_noticed(self, load: Load, archive: Path) -> None:
        path = archive / "val" / "val_annotations.txt"
        Image.new("L", (6, 6)).save(archive / "val" / "images" / "val_9.JPEG")
        names = self.CLASSES
        for middle, labels in ((names[0], [0, 0, 1, 2]), (names[1], [0, 1, 1, 2])):
            files = zip((2, 9, 1, 0), (names[0], middle, names[1], names[2]), strict=True)
            path.write_text("".join(f"val_{file}.JPEG\t{name}\n" for file, name in files))
            assert load("tinyimagenet")[0].test.labels.tolist() == labels


def test_an_image_set_is_as_long_as_its_labels() -> None:
    assert len(ImageSet(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3).long())) == 3
