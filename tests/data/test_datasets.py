"""Datasets by name: what `load` and `peek` give, and what they say when they cannot."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.data import datasets
from datm_engine.data.datasets import ImageSet, RealData
from datm_engine.errors import ConfigError, DataError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.events import Noted

Load = Callable[..., tuple[RealData, list[Any]]]


def same(left: ImageSet, right: ImageSet) -> bool:
    return left.images.equal(right.images) and left.labels.equal(right.labels)


def pixels(part: ImageSet) -> set[bytes]:
    return {image.numpy().tobytes() for image in part.images}


def notes(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def test_digits_come_with_scikit_learn(load: Load) -> None:
    digits, events = load("digits")
    assert digits.name == "digits"
    assert digits.class_names == tuple("0123456789")
    assert digits.shape == (1, 8, 8)
    assert len(digits.train) + len(digits.test) == 1797
    assert len(digits.validation) == 0
    assert digits.train.images.dtype == torch.uint8
    assert digits.train.labels.dtype == torch.int64
    assert (int(digits.train.images.min()), int(digits.train.images.max())) == (0, 255)
    assert events == []


def test_the_test_digits_are_a_fifth_of_each_class_whatever_the_seed(load: Load) -> None:
    one, other = load("digits", seed=1)[0], load("digits", seed=2, train_images=100)[0]
    assert same(one.test, other.test)
    tested, trained = torch.bincount(one.test.labels), torch.bincount(one.train.labels)
    assert (tested / (tested + trained)).sub(0.2).abs().max() < 0.005


def test_a_built_in_set_is_resized_when_asked(load: Load) -> None:
    digits, events = load("digits", resolution=16)
    assert digits.shape == (1, 16, 16)
    native = load("digits")[0]
    assert digits.train.labels.equal(native.train.labels)
    halved = digits.train.images.float().unflatten(2, (8, 2)).unflatten(4, (8, 2)).mean((3, 5))
    both = torch.stack([halved.flatten(), native.train.images.float().flatten()])
    assert torch.corrcoef(both)[0, 1] > 0.95
    assert events[-1].done == events[-1].total == 1797
    assert len(events) <= 100


def test_train_and_validation_share_no_image_and_miss_none(load: Load) -> None:
    whole = load("digits")[0]
    split = load("digits", validation=0.25, seed=4)[0]
    together = torch.cat([split.train.images, split.validation.images])
    assert len(together) == len(whole.train)
    assert together.flatten(1).sum(0).equal(whole.train.images.flatten(1).sum(0))
    held, of = torch.bincount(split.validation.labels), torch.bincount(whole.train.labels)
    assert (held - 0.25 * of).abs().max() <= 0.5


def test_the_number_of_training_images_counts_before_the_validation_split(load: Load) -> None:
    digits = load("digits", train_images=200, validation=0.2)[0]
    assert torch.bincount(digits.train.labels).tolist() == [16] * 10
    assert torch.bincount(digits.validation.labels).tolist() == [4] * 10
    assert pixels(digits.train) <= pixels(load("digits")[0].train)


def test_a_seed_gives_its_split_whatever_was_loaded_before(load: Load) -> None:
    first = load("digits", train_images=100, validation=0.1, seed=7)[0]
    other = load("digits", train_images=100, validation=0.1, seed=8)[0]
    torch.rand(3)
    again = load("digits", train_images=100, validation=0.1, seed=7)[0]
    assert same(first.train, again.train)
    assert same(first.validation, again.validation)
    assert first.fingerprint == again.fingerprint
    assert pixels(first.train) != pixels(other.train)


def test_the_fingerprint_is_of_all_that_was_loaded(load: Load, folder: Path) -> None:
    seen = [
        load("digits")[0].fingerprint,
        load("digits", seed=1, validation=0.1)[0].fingerprint,
        load("digits", seed=2, validation=0.1)[0].fingerprint,
        load("digits", train_images=100)[0].fingerprint,
        load(folder)[0].fingerprint,
    ]
    for part in ("train", "test"):
        (folder / part / "cat").rename(folder / part / "cow")
    seen.append(load(folder)[0].fingerprint)
    (folder / "test" / "cow" / "1.png").unlink()
    seen.append(load(folder)[0].fingerprint)
    assert len(set(seen)) == len(seen)
    assert all(len(fingerprint) == 64 for fingerprint in seen)


def test_asking_for_more_images_than_there_are_gives_all_and_says_so(load: Load) -> None:
    digits, events = load("digits", train_images=5000)
    assert len(digits.train) == len(load("digits")[0].train)
    assert notes(events) == ["digits has 1438 training images, not 5000; all are used"]


def test_a_validation_share_of_single_images_is_empty_and_says_so(load: Load) -> None:
    digits, events = load("digits", train_images=10, validation=0.5)
    assert (len(digits.train), len(digits.validation)) == (10, 0)
    assert "none is held out" in notes(events)[0]


def test_fewer_images_than_classes_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="9 training images are fewer than the 10") as error:
        load("digits", train_images=9)
    assert error.value.fix == Setting("dataset.train_images", 10)


def test_a_resolution_beyond_all_memory_is_refused(load: Load) -> None:
    with pytest.raises(ConfigError, match="TB of memory"):
        load("digits", resolution=10**9)


@pytest.mark.parametrize("resolution", [0, -1])
def test_a_resolution_of_no_pixels_is_refused(load: Load, resolution: int) -> None:
    with pytest.raises(ConfigError, match="resolution"):
        load("digits", resolution=resolution)


@pytest.mark.parametrize(
    ("name", "suggested"),
    [("CIFAR-10", "cifar10"), ("fashion_mnist", "fashionmnist"), ("tiny-imagenet", "tinyimagenet")],
)
def test_an_unknown_name_is_answered_with_the_nearest(
    load: Load, tmp_path: Path, name: str, suggested: str
) -> None:
    for attempt in (lambda: load(name), lambda: datasets.peek(name, data_dir=tmp_path)):
        with pytest.raises(ConfigError, match=f"dataset {name} is neither") as error:
            attempt()
        assert error.value.fix == Setting("dataset", suggested)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("", "--help"),
        ("/no/such/folder", "ls /"),
        ("no\0name", "ls ."),
        ("x" * 5000, "ls ."),
        ("nowhere/at/all", "ls ."),
        ("mnits", "--dataset mnist"),
        ("Cifar10", "--dataset cifar10"),
        ("cifar_100", "--dataset cifar100"),
        ("ylecun/mnist", "--dataset hf:ylecun/mnist"),
        ("hf/ylecun/mnist", "--dataset hf:ylecun/mnist"),
        ("HF://datasets/ylecun/mnist", "--dataset hf:ylecun/mnist"),
        ("https://huggingface.co/datasets/ylecun/mnist/tree/main", "--dataset hf:ylecun/mnist"),
    ],
)
def test_a_name_that_is_none_is_answered_with_the_nearest_or_with_what_there_is(
    load: Load, name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        load(name)
    assert fix_text(error.value.fix) == hint


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("photo", "--dataset photos"),
        ("photos/trian", "--dataset photos/train"),
        ("Photos", "--dataset photos"),
        ("phtoos", "--dataset photos"),
        ("data.np", "--dataset data.npz"),
        ("./photo", "--dataset photos"),
        ("photos/nothing like it", "ls photos"),
        ("digit", "--dataset digits"),
    ],
)
def test_a_typo_in_a_path_is_answered_with_the_path_beside_it(
    load: Load, name: str, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos" / "train").mkdir(parents=True)
    (tmp_path / "data.npz").touch()
    with pytest.raises(ConfigError) as error:
        load(name)
    assert fix_text(error.value.fix) == hint


def test_a_typo_in_an_absolute_path_is_answered_with_an_absolute_path(
    load: Load, tmp_path: Path
) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(ConfigError) as error:
        load(tmp_path / "photo")
    assert fix_text(error.value.fix) == f"--dataset {tmp_path / 'photos'}"


@pytest.mark.parametrize("name", ["digits/", "./digits", "./digits/"])
def test_a_built_in_name_that_was_completed_as_a_path_is_recognised(
    load: Load, name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as error:
        load(name)
    assert error.value.fix == Setting("dataset", "digits")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("p.rar", "unrar x"),
        ("p.7Z", "7z x"),
        ("p.tar.zst", "tar --zstd -xf"),
        ("p.npy", "ls -l"),
        ("p.h5", "ls -l"),
    ],
)
def test_other_archives_are_answered_with_what_unpacks_them_and_arrays_with_what_is_read(
    load: Load, tmp_path: Path, name: str, hint: str
) -> None:
    (tmp_path / name).write_bytes(b"packed")
    with pytest.raises(
        ConfigError, match=r"nor a file that is read: \.safetensors, \.npz"
    ) as error:
        load(tmp_path / name)
    assert fix_text(error.value.fix) == f"{hint} {tmp_path / name}"


def test_a_file_that_is_no_dataset_is_refused(load: Load, tmp_path: Path) -> None:
    (tmp_path / "pets.pkl").write_bytes(b"PK")
    with pytest.raises(ConfigError, match=r"pets\.pkl is neither a folder of images"):
        load(tmp_path / "pets.pkl")


def test_a_home_relative_path_is_found(
    load: Load, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(folder.parent))
    assert load("~/pets")[0].name == "pets"


@pytest.mark.parametrize("name", datasets.NAMES)
def test_a_built_in_shape_is_known_without_files(tmp_path: Path, name: str) -> None:
    shape = datasets.peek(name, data_dir=tmp_path)
    assert shape.classes >= 10
    assert None not in (shape.channels, shape.height, shape.width)


def test_peeking_at_digits_gives_what_loading_gives(load: Load, tmp_path: Path) -> None:
    digits = load("digits")[0]
    shape = datasets.peek("digits", data_dir=tmp_path)
    assert (shape.channels, shape.height, shape.width) == digits.shape
    assert shape.classes == len(digits.class_names)


def test_a_folder_that_may_not_be_read_is_refused_with_its_name(
    load: Load, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(place: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(place))

    monkeypatch.setattr(Path, "iterdir", refused)
    for attempt in (load, lambda name: datasets.peek(name, data_dir=tmp_path)):
        with pytest.raises(DataError) as error:
            attempt(str(tmp_path))
        assert error.value.message == f"{tmp_path} cannot be read: Permission denied"
        assert fix_text(error.value.fix) == f"ls -ld {tmp_path}"
