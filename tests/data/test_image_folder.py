"""Folders of images: decoded as asked, once, and never out of date."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data.datasets import RealData
from datm_engine.data.decoding import decode_images
from datm_engine.data.readers import image_folder
from datm_engine.data.readers.folder_listing import list_images
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import ConfigError, DataError, FileError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.events import DatasetProgress, Noted

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


def content(data: RealData) -> list[Any]:
    return [data.class_names, data.train.images.tolist(), data.test.images.tolist()]


def decoded(events: list[Any]) -> bool:
    return any("decoding" in e.what for e in events if isinstance(e, DatasetProgress))


def kept_files(tmp_path: Path) -> list[Path]:
    return sorted((tmp_path / "data" / "decoded").iterdir())


def test_images_are_resized_to_the_resolution(load: Load, folder: Path) -> None:
    Image.new("RGB", (9, 13), "red").save(folder / "train" / "cat" / "9.png")
    pets, _ = load(folder, resolution=4)
    assert pets.shape == (3, 4, 4)
    assert pets.train.images[4].tolist() == [[[255] * 4] * 4, [[0] * 4] * 4, [[0] * 4] * 4]


def test_different_sizes_need_a_resolution(load: Load, folder: Path) -> None:
    Image.new("RGB", (9, 13)).save(folder / "train" / "dog" / "9.png")
    with pytest.raises(ConfigError, match=r"0\.png is 6×6, .*9\.png is 9×13") as error:
        load(folder)
    assert error.value.fix == Setting("resolution", 6)


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
    monkeypatch.setattr(decode_images, "decode", lambda *_, **__: pytest.fail("decoded again"))
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


def test_a_resolution_is_kept_by_width_and_height(folder: Path) -> None:
    listing = list_images(folder)
    contents = [b"digest"] * len(listing.files)
    sizes = [LoadOptions("pets", folder, size, False) for size in ((4, 3), (4, 4), (3, 4))]
    keys = {image_folder._key(listing, contents, options) for options in sizes}
    assert len(keys) == 3


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
    key = image_folder._key

    def change_then_key(*given: Any) -> str:
        Image.new("RGB", (6, 6)).save(folder / "train" / "dog" / "2.png")
        return key(*given)

    monkeypatch.setattr(image_folder, "_key", change_then_key)
    with pytest.raises(DataError, match=r"2\.png changed while it was being read"):
        load(folder)
    assert kept_files(tmp_path) == []


def test_progress_is_reported_in_at_most_a_hundred_events(load: Load, folder: Path) -> None:
    for index in range(300):
        Image.new("L", (2, 2)).save(folder / "train" / "cat" / f"more{index}.png")
    _, events = load(folder, resolution=2)
    for what in ("reading pets", "decoding pets"):
        done = [e.done for e in events if e.what == what]
        assert done == sorted(set(done))
        assert done[-1] == 312
    assert 20 < len(events) <= 100


def test_a_data_dir_that_cannot_be_made_is_named(load: Load, folder: Path) -> None:
    file = folder.parent / "file"
    file.write_text("")
    with pytest.raises(FileError, match="file/data/decoded cannot be created") as error:
        load(folder, data_dir=file / "data")
    assert fix_text(error.value.fix) == f"ls -ld {file}"


def test_a_data_dir_that_cannot_be_written_is_named_before_decoding(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda *_: False)
    monkeypatch.setattr(decode_images, "decode", lambda *_, **__: pytest.fail("decoded"))
    with pytest.raises(FileError, match="decoded cannot be written") as error:
        load(folder)
    assert fix_text(error.value.fix) == f"chmod u+w {folder.parent / 'data' / 'decoded'}"


def test_a_data_dir_that_can_only_be_read_still_serves_what_is_kept(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(folder)
    monkeypatch.setattr(os, "access", lambda *_: False)
    assert len(load(folder)[0].train) == 8


def test_deep_greys_have_one_range_over_all_parts_also_from_the_kept_copy(
    load: Load, folder: Path, tmp_path: Path
) -> None:
    for path in folder.rglob("*.png"):
        top = 4095 if path.parent.parent.name == "test" else 1000
        Image.fromarray(np.full((6, 6), top, np.uint16)).save(path)
    pets, events = load(folder)
    assert set(pets.train.images.flatten().tolist()) == {62}
    assert set(pets.test.images.flatten().tolist()) == {255}
    said = [event.text for event in events if isinstance(event, Noted)]
    assert said == [
        "12 grey images of more than 8 bits: values are divided by 4095, the largest of 12 bits, "
        "because their largest is 4095"
    ]
    again, events = load(folder)
    assert not decoded(events)
    assert content(again) == content(pets)
    assert [event.text for event in events if isinstance(event, Noted)] == said


def test_photographs_are_turned_upright(load: Load, folder: Path, picture: Picture) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    for path in folder.rglob("*.png"):
        image = Image.open(path)
        image.transpose(Image.Transpose.ROTATE_90).save(path, exif=exif)
    pets, _ = load(folder)
    assert pets.train.images[0].tolist() == picture(4).transpose(2, 0, 1).tolist()
