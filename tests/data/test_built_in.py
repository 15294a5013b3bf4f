"""torchvision's sets, from small files of their own formats, without a network."""

from __future__ import annotations

import errno
import pickle
import struct
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest

from datm_engine.data import datasets
from datm_engine.data.built_in import BUILT_IN
from datm_engine.data.datasets import RealData
from datm_engine.errors import DataError
from datm_engine.hints import fix_text
from datm_engine.runs.events import DatasetProgress

torchvision_datasets = pytest.importorskip("torchvision.datasets")

Load = Callable[..., tuple[RealData, list[Any]]]
Picture = Callable[..., np.ndarray]


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise URLError("[Errno -3] Temporary failure in name resolution")

    monkeypatch.setattr(urllib.request, "urlopen", refuse)


def write_mnist(folder: Path, picture: Picture) -> None:
    folder.mkdir(parents=True)
    for part, count in (("train", 20), ("t10k", 10)):
        images = picture(count, count, 28, 28)
        header = struct.pack(">IIII", 0x803, count, 28, 28)
        (folder / f"{part}-images-idx3-ubyte").write_bytes(header + images.tobytes())
        labels = (np.arange(count) % 10).astype(np.uint8)
        header = struct.pack(">II", 0x801, count)
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(header + labels.tobytes())


def write_cifar(folder: Path, picture: Picture, classes: int, monkeypatch: Any) -> None:
    """With the checksums, which are of the published files, taken out of torchvision's list."""
    kind = torchvision_datasets.CIFAR10 if classes == 10 else torchvision_datasets.CIFAR100
    monkeypatch.setattr(kind, "train_list", [["one", None], ["two", None]])
    monkeypatch.setattr(kind, "test_list", [["test", None]])
    monkeypatch.setattr(kind, "meta", {**kind.meta, "md5": None})
    folder.mkdir(parents=True)
    labels_key = "labels" if classes == 10 else "fine_labels"
    for seed, name in enumerate(("one", "two", "test")):
        batch = {
            "data": picture(seed, classes, 3 * 32 * 32),
            labels_key: list(reversed(range(classes))),
        }
        (folder / name).write_bytes(pickle.dumps(batch))
    names = {kind.meta["key"]: [f"class {label}" for label in range(classes)]}
    (folder / kind.meta["filename"]).write_bytes(pickle.dumps(names))


def write_svhn(folder: Path, picture: Picture, monkeypatch: Any) -> None:
    savemat = pytest.importorskip("scipy.io").savemat
    files = {part: ["", f"{part}_32x32.mat", None] for part in ("train", "test", "extra")}
    monkeypatch.setattr(torchvision_datasets.SVHN, "split_list", files)
    folder.mkdir(parents=True)
    for seed, part in enumerate(("train", "test")):
        labels = np.arange(1, 11, dtype=np.uint8)[:, None]  # 10 stands for the digit 0
        images = picture(seed, 32, 32, 3, 10)
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels})


@pytest.mark.parametrize(("name", "folder"), [("mnist", "MNIST"), ("fashionmnist", "FashionMNIST")])
def test_mnist_and_its_like(
    load: Load, tmp_path: Path, picture: Picture, name: str, folder: str
) -> None:
    write_mnist(tmp_path / "data" / folder / "raw", picture)
    mnist, events = load(name)
    assert mnist.name == name
    assert mnist.shape == (1, 28, 28)
    assert mnist.train.images[:, 0].numpy().tolist() == picture(20, 20, 28, 28).tolist()
    assert mnist.test.labels.tolist() == list(range(10))
    assert len(mnist.class_names) == 10
    assert mnist.class_names[0] == ("0" if name == "mnist" else "T-shirt/top")
    assert [type(event) for event in events] == [DatasetProgress] * 3


@pytest.mark.parametrize("classes", [10, 100])
def test_cifar(
    load: Load, tmp_path: Path, picture: Picture, classes: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = "cifar-10-batches-py" if classes == 10 else "cifar-100-python"
    write_cifar(tmp_path / "data" / folder, picture, classes, monkeypatch)
    cifar, _ = load(f"cifar{classes}")
    assert cifar.shape == (3, 32, 32)
    assert cifar.class_names == tuple(f"class {label}" for label in range(classes))
    assert cifar.train.labels.tolist() == [*reversed(range(classes))] * 2
    written = picture(2, classes, 3 * 32 * 32).reshape(-1, 3, 32, 32)
    assert cifar.test.images.numpy().tolist() == written.tolist()


def test_svhn(
    load: Load, tmp_path: Path, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path / "data", picture, monkeypatch)
    svhn, _ = load("svhn")
    assert svhn.shape == (3, 32, 32)
    assert svhn.class_names == tuple("0123456789")
    assert svhn.train.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert svhn.train.images.numpy().tolist() == (
        picture(0, 32, 32, 3, 10).transpose(3, 2, 0, 1).tolist()
    )


def test_the_resolution_holds_for_downloads_too(
    load: Load, tmp_path: Path, picture: Picture
) -> None:
    write_mnist(tmp_path / "data" / "MNIST" / "raw", picture)
    assert load("mnist", resolution=32)[0].shape == (1, 32, 32)


@pytest.mark.parametrize(
    ("name", "file", "folder"),
    [
        ("cifar10", "cifar-10-python.tar.gz", "."),
        ("cifar100", "cifar-100-python.tar.gz", "."),
        ("svhn", "test_32x32.mat", "."),
        ("mnist", "t10k-labels-idx1-ubyte.gz", "MNIST/raw"),
        ("fashionmnist", "train-images-idx3-ubyte.gz", "FashionMNIST/raw"),
    ],
)
def test_without_network_it_is_said_which_files_go_where(
    load: Load, tmp_path: Path, name: str, file: str, folder: str
) -> None:
    with pytest.raises(DataError, match=f"{name} could be neither fetched") as error:
        load(name)
    assert "Temporary failure in name resolution" in error.value.message
    assert "\n" not in error.value.message
    assert file in fix_text(error.value.fix)
    assert f"-P {tmp_path / 'data' / folder} " in fix_text(error.value.fix)


@pytest.mark.parametrize("name", [name for name in BUILT_IN if BUILT_IN[name].files])
def test_the_files_named_are_the_ones_torchvision_looks_for(name: str) -> None:
    kind = getattr(torchvision_datasets, BUILT_IN[name].torchvision_class)
    if name == "svhn":
        wanted = {kind.split_list[part][1] for part in ("train", "test")}
    elif "mnist" in name:
        wanted = {file for file, _ in kind.resources}
    else:
        wanted = {kind.filename}
    assert set(BUILT_IN[name].files) == wanted


@pytest.mark.parametrize("size", [0, 3, 30, 500])
@pytest.mark.parametrize("file", ["train-images-idx3-ubyte", "t10k-labels-idx1-ubyte"])
def test_files_cut_short_are_said_to_be_unreadable(
    load: Load, tmp_path: Path, picture: Picture, file: str, size: int
) -> None:
    raw = tmp_path / "data" / "MNIST" / "raw"
    write_mnist(raw, picture)
    whole = (raw / file).read_bytes()
    (raw / file).write_bytes(whole[: min(size, len(whole) - 1)])
    with pytest.raises(DataError, match=r"neither fetched into .* nor read there"):
        load("mnist")


def test_a_data_dir_that_cannot_be_written_is_named(load: Load, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for data_dir in (tmp_path / "file", tmp_path / "file" / "data"):
        wrong = f"cannot be stored in the data folder {data_dir}"
        with pytest.raises(DataError, match=wrong):
            load("cifar10", data_dir=data_dir)


def test_a_full_disk_is_not_taken_for_a_missing_network(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any, **__: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(torchvision_datasets, "SVHN", full)
    with pytest.raises(DataError, match=r"cannot be stored in .*: No space left on device"):
        load("svhn")


def test_a_connection_that_breaks_off_is_reported(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reset(*_: Any, **__: Any) -> None:
        raise ConnectionResetError(errno.ECONNRESET, "Connection reset by peer")

    monkeypatch.setattr(torchvision_datasets, "SVHN", reset)
    with pytest.raises(DataError, match=r"svhn could be neither fetched .*Connection reset"):
        load("svhn")


def test_what_is_below_the_data_folder_is_not_downloaded(tmp_path: Path) -> None:
    data = tmp_path / "data"

    def here(name: str) -> bool:
        return datasets.is_here(name, data_dir=data)

    remote = [name for name in datasets.NAMES if name != "digits"] + ["hf:Ylecun/mnist:plain"]
    assert [name for name in (*remote, "digits", str(tmp_path)) if here(name)] == [
        "digits",
        str(tmp_path),
    ]
    files = [
        "cifar-10-python.tar.gz",
        "cifar-100-python.tar.gz",
        "train_32x32.mat",
        "test_32x32.mat",
        *(
            f"{name}/raw/{part}-{what}-ubyte"
            for name in ("MNIST", "FashionMNIST")
            for part in ("train", "t10k")
            for what in ("images-idx3", "labels-idx1")
        ),
        "tiny-imagenet-200/words.txt",
        "huggingface/ylecun___mnist/plain",
    ]
    for file in files:
        (data / file).parent.mkdir(parents=True, exist_ok=True)
        (data / file).touch()
    assert all(map(here, remote))
    (data / "test_32x32.mat").unlink()
    assert not here("svhn")
