"""MATLAB files: those of SVHN, of Python, damaged ones, and SciPy in a child process."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datm_engine.data import datasets
from datm_engine.data.readers import mat_process
from datm_engine.errors import DataError, FileError
from datm_engine.files import damage_as_error
from datm_engine.settings.image_size import Shape

from .conftest import count, notes, npz, peek

Load = Callable[..., Any]

Picture = Callable[..., np.ndarray]


def svhn(folder: Path, picture: Picture, parts: tuple[str, ...] = ("train", "test")) -> None:
    folder.mkdir(exist_ok=True)
    for seed, part in enumerate(parts):
        labels = np.arange(1, 11, dtype=np.uint8)[:, None]  # 10 stands for the digit 0
        images = picture(seed, 6, 8, 3, 10)
        savemat(folder / f"{part}_32x32.mat", {"X": images, "y": labels})


@pytest.mark.parametrize("given", ["train_32x32.mat", "test_32x32.mat", "."])
def test_the_files_of_svhn_by_either_or_by_their_folder(
    given: str, tmp_path: Path, load: Load, picture: Picture
) -> None:
    svhn(tmp_path / "s", picture)
    data, events = load(tmp_path / "s" / given)
    assert data.class_names == tuple("0123456789")
    for part, seed in ((data.train, 0), (data.test, 1)):
        wanted = picture(seed, 6, 8, 3, 10).transpose(3, 2, 0, 1)
        assert np.array_equal(part.images.numpy(), wanted)
        assert part.labels.tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
    assert "label 10 is read as the digit 0" in notes(events)[0]
    place = tmp_path / "s" / given
    assert (peek(place), count(place)) == (Shape(10, 3, 6, 8), 10)


def test_a_single_mat_file_has_its_parts_or_a_share_held_out(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    path = tmp_path / "pets.mat"
    images = picture(0, 6, 8, 3, 10)
    savemat(path, {"X": images, "y": np.array([[1, 2] * 5], float)})
    data, _ = load(path)
    assert (data.class_names, len(data.train), len(data.test)) == (("1", "2"), 8, 2)
    python = images.transpose(3, 0, 1, 2)  # as SciPy's own users write them
    savemat(path, {"x_train": python, "y_train": [0, 1] * 5, "x_test": python, "y_test": [0] * 10})
    data, _ = load(path)
    assert np.array_equal(data.train.images.numpy(), images.transpose(3, 2, 0, 1))


@pytest.mark.parametrize("packed", [False, True])
def test_mat_files_have_the_arrays_that_were_saved(packed: bool, tmp_path: Path) -> None:
    arrays = {
        kind: (np.random.default_rng(0).random((3, 4, 5)) * 100).astype(kind)
        for kind in ("u1", "i2", "u8", "f4", "f8")
    }
    path = tmp_path / "a.mat"
    savemat(path, {**arrays, "words": "text"}, do_compression=packed)
    assert mat_process.shapes(path) == {**dict.fromkeys(arrays, (3, 4, 5)), "words": (1,)}
    found = mat_process.read(path, list(arrays))
    for name, array in arrays.items():
        assert found[name].dtype == array.dtype
        assert np.array_equal(found[name], array)


def test_a_mat_file_that_ends_scipys_process_is_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.zeros(3)})
    fault = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    monkeypatch.setattr(mat_process, "_CHILD", fault)
    with pytest.raises(DataError, match=r"is no \.mat file of arrays, or damaged: .*SIGSEGV"):
        datasets.peek(str(path), data_dir=tmp_path)


def full_disk(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@pytest.mark.parametrize(
    ("child", "error", "message"),
    [
        ("print(28); import sys; sys.exit(4)", FileError, "cannot be written: No space left"),
        ("import sys; sys.exit(3)", MemoryError, "no memory"),
        ("import os; os.kill(os.getpid(), 9)", MemoryError, "no memory"),
        (
            "import os, signal; signal.signal(2, signal.SIG_DFL); os.kill(os.getpid(), 2)",
            KeyboardInterrupt,
            "^$",
        ),
        ("import os; os.kill(os.getpid(), 15)", KeyboardInterrupt, "^$"),
    ],
)
def test_what_ends_scipys_process_from_outside_is_no_damage(
    child: str,
    error: type[BaseException],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.zeros(3)})
    monkeypatch.setattr(mat_process, "_CHILD", child)
    with pytest.raises(error, match=message), damage_as_error(path, "file"):
        mat_process.read(path, ["X"])


def test_a_full_folder_for_temporary_files_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.mat"
    savemat(path, {"X": np.zeros(3)})
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.TemporaryDirectory", full_disk)
    with pytest.raises(FileError, match="cannot be written: No space left") as error:
        mat_process.read(path, ["X"])
    assert str(tmp_path) in error.value.message


def test_running_out_of_memory_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(MemoryError), damage_as_error(tmp_path, "file"):
        raise MemoryError


def test_mat_files_that_are_not_read_are_refused(tmp_path: Path, load: Load) -> None:
    path = tmp_path / "pets.mat"
    path.write_bytes(b"MATLAB 7.3 MAT-file, Platform: GLNXA64" + bytes(500))
    with pytest.raises(DataError, match=r"version 7\.3, which is not read; save it with -v7"):
        load(path)
    path.write_bytes(b"nothing of the kind" * 30)
    with pytest.raises(DataError, match=r"pets\.mat is no \.mat file of arrays, or damaged"):
        load(path)
    savemat(path, {"a": np.zeros(3)})
    with pytest.raises(DataError, match="has arrays a; it takes X and y"):
        load(path)


@pytest.mark.parametrize("shape", [(5, 7, 1), (5, 7), (5, 7, 3), (3, 5, 7), (1, 5, 7)])
@pytest.mark.parametrize("column", [False, True])
def test_mat_files_of_python_have_the_number_of_the_image_first(
    shape: tuple[int, ...], column: bool, tmp_path: Path, load: Load, picture: Picture
) -> None:
    images, labels = picture(0, 10, *shape), np.arange(10) % 2
    arrays = {"y_train": labels[:, None] if column else labels}
    savemat(tmp_path / "k.mat", {"x_train": images, **arrays})
    data = load(tmp_path / "k.mat", test=0.5)[0]
    plain = load(npz(tmp_path / "k.npz", x_train=images, y_train=labels), test=0.5)[0]
    assert data.fingerprint == plain.fingerprint


@pytest.mark.parametrize(
    ("shape", "last"), [((8, 5, 3, 8), True), ((8, 3, 5, 8), False), ((8, 8, 8, 1), False)]
)
def test_of_two_axes_of_one_length_the_one_that_leaves_images_numbers_them(
    shape: tuple[int, ...], last: bool, tmp_path: Path, load: Load, picture: Picture
) -> None:
    images = picture(0, *shape)
    savemat(tmp_path / "k.mat", {"X": images, "y": np.arange(8) % 2})
    savemat(tmp_path / "k_test.mat", {"X": images, "y": np.arange(8) % 2})
    data, _ = load(tmp_path / "k.mat", test=0.1)
    rest = {image.numpy().tobytes() for image in data.train.images}
    wanted = np.moveaxis(images, -1, 0) if last else images
    wanted = np.moveaxis(wanted, -1, 1) if wanted.shape[-1] in (1, 3) else wanted
    assert rest < {image.tobytes() for image in np.ascontiguousarray(wanted)}


@pytest.mark.parametrize("shape", [(8, 5, 8), (8, 1, 1, 8), (8, 3, 3, 8)])
def test_arrays_whose_first_or_last_axis_could_number_the_images_are_refused(
    shape: tuple[int, ...], tmp_path: Path, picture: Picture
) -> None:
    path = tmp_path / "k.mat"
    savemat(path, {"X": picture(0, *shape), "y": np.arange(8) % 2})
    with pytest.raises(DataError) as error:
        peek(path)
    assert error.value.message == (
        f"{path} X is {list(shape)} with 8 labels: the first axis could number the images, or the "
        "last; save them as [n, height, width, 1 or 3]"
    )
