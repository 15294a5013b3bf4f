"""MNIST's files, those of FashionMNIST and EMNIST, and damaged ones."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datm_engine.errors import DataError
from datm_engine.settings.image_size import Shape

from .conftest import count, peek

Load = Callable[..., Any]

Picture = Callable[..., np.ndarray]

LABELS = np.array([[0], [1], [2], [0], [1], [2]])


def idx(path: Path, array: np.ndarray, *, packed: bool = False) -> None:
    header = struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape)
    content = header + array.astype(np.uint8).tobytes()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(content) if packed else content)


def mnist(folder: Path, picture: Picture, *, before: str = "", packed: bool = False) -> None:
    suffix = ".gz" if packed else ""
    for seed, (part, n) in enumerate((("train", 6), ("t10k" if not before else "test", 3))):
        images = f"{before}{part}-images-idx3-ubyte{suffix}"
        idx(folder / images, picture(seed, n, 4, 5), packed=packed)
        labels = f"{before}{part}-labels-idx1-ubyte{suffix}"
        idx(folder / labels, LABELS[:n, 0], packed=packed)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("given", [".", "raw", "raw/train-images-idx3-ubyte"])
def test_the_files_of_mnist(
    given: str, packed: bool, tmp_path: Path, load: Load, picture: Picture
) -> None:
    mnist(tmp_path / "MNIST" / "raw", picture, packed=packed)
    place = tmp_path / "MNIST" / (given + ".gz" * (packed and given.endswith("ubyte")))
    data, _ = load(place)
    assert data.class_names == ("0", "1", "2")
    assert np.array_equal(data.train.images[:, 0].numpy(), picture(0, 6, 4, 5))
    assert np.array_equal(data.test.images[:, 0].numpy(), picture(1, 3, 4, 5))
    assert data.test.labels.tolist() == [0, 1, 2]
    assert (peek(place), count(place)) == (Shape(3, 1, 4, 5), 6)


def test_names_of_fashionmnist_and_of_files_with_a_dot(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    folder = tmp_path / "FashionMNIST" / "raw"
    for part in ("train", "t10k"):
        idx(folder / f"{part}-images.idx3-ubyte", picture(0, 10, 4, 4))
        idx(folder / f"{part}-labels.idx1-ubyte", np.arange(10))
    data, _ = load(folder)
    assert (data.class_names[0], data.class_names[9]) == ("T-shirt/top", "Ankle boot")


def test_the_images_of_emnist_are_transposed_and_one_set_is_chosen(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    for name in ("letters", "digits"):
        mnist(tmp_path / "e", picture, before=f"emnist-{name}-", packed=True)
    with pytest.raises(DataError, match="the files of 2 datasets: emnist-digits, emnist-letters"):
        load(tmp_path / "e")
    path = tmp_path / "e" / "emnist-letters-train-images-idx3-ubyte.gz"
    data, _ = load(path)
    assert np.array_equal(data.train.images[:, 0].numpy(), picture(0, 6, 4, 5).transpose(0, 2, 1))
    assert peek(path) == Shape(3, 1, *data.shape[1:])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "does not begin as an idx file"),
        (b"\0\0\x08\3\0\0\0\6", "ends within its header"),
        (b"\0\0\x0d\3" + bytes(12), "does not begin as an idx file of bytes"),
        (struct.pack(">IIII", 0x803, 6, 4, 5) + bytes(119), "states 120 bytes, and 119 follow"),
        (struct.pack(">IIII", 0x803, 2**31, 2**31, 2**31), r"images but 6 labels"),
    ],
)
def test_idx_files_cut_short_are_refused(
    content: bytes, message: str, tmp_path: Path, load: Load, picture: Picture
) -> None:
    mnist(tmp_path / "raw", picture)
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "raw")
    (tmp_path / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"has no labels beside it: train-labels-idx1-ubyte is not"):
        load(tmp_path / "raw")
