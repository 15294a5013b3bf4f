"""Arrays given to --dataset: .npz, .mat, MNIST's files and CIFAR's folders."""

from __future__ import annotations

import errno
import gzip
import io
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datm_engine.data import datasets
from datm_engine.data.readers import array_files, mat_process
from datm_engine.errors import DataError, FileError
from datm_engine.runs.events import Noted
from datm_engine.settings.image_size import Shape

from .conftest import counted
from .test_sources import write_cifar

Load = Callable[..., Any]
Picture = Callable[..., np.ndarray]
LABELS = np.array([[0], [1], [2], [0], [1], [2]])


def notes(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def peek(path: Path) -> Shape:
    return datasets.peek(str(path), data_dir=path.parent / "data")


def count(path: Path) -> int:
    return counted(path, path.parent / "data")[0]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


def test_the_keys_of_medmnist_are_three_parts(tmp_path: Path, load: Load, picture: Picture) -> None:
    path = npz(
        tmp_path / "pathmnist.npz",
        train_images=picture(0, 6, 5, 7, 3),
        train_labels=LABELS.astype(np.uint8),
        val_images=picture(1, 3, 5, 7, 3),
        val_labels=LABELS[:3],
        test_images=picture(2, 2, 5, 7, 3),
        test_labels=LABELS[:2],
    )
    data, _ = load(path)
    assert (data.name, data.class_names) == ("pathmnist", ("0", "1", "2"))
    for part, seed, n in ((data.train, 0, 6), (data.validation, 1, 3), (data.test, 2, 2)):
        wanted = picture(seed, n, 5, 7, 3).transpose(0, 3, 1, 2)
        assert np.array_equal(part.images.numpy(), wanted)
        assert part.labels.tolist() == LABELS[:n, 0].tolist()
    assert (peek(path), count(path)) == (Shape(3, 3, 5, 7), 6)
    assert load(path, resolution="4x8")[0].shape == (3, 8, 4)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 5, 7), (5, 7, 3), (3, 5, 7)])
def test_the_keys_of_keras_in_any_layout(
    shape: tuple[int, ...], tmp_path: Path, load: Load, picture: Picture
) -> None:
    images = picture(0, 6, *shape)
    path = npz(
        tmp_path / "k.npz", x_train=images, y_train=LABELS[:, 0], x_test=images, y_test=LABELS[:, 0]
    )
    data, _ = load(path)
    wanted = images.transpose(0, 3, 1, 2) if shape[-1] in (1, 3) else images
    assert np.array_equal(data.test.images.numpy(), wanted.reshape(6, -1, 5, 7))
    channels = 3 if 3 in shape else 1
    assert peek(path) == Shape(3, channels, 5, 7)


def test_one_part_has_a_share_held_out(tmp_path: Path, load: Load, picture: Picture) -> None:
    path = npz(tmp_path / "k.npz", images=picture(0, 10, 4, 4), labels=np.arange(10) % 2)
    data, events = load(path)
    assert (len(data.train), len(data.test)) == (8, 2)
    assert "k has no labelled test part: 2 of 10" in notes(events)[0]


@pytest.mark.parametrize(
    ("images", "wanted", "note"),
    [
        (np.array([0, 0.5, 1, 0.2]), [0, 128, 255, 51], "pixels from 0 to 1 are multiplied by 255"),
        (np.array([0, 128.0, 255, 3]), [0, 128, 255, 3], None),
        (np.array([0, 1, 255, 3], np.int32), [0, 1, 255, 3], None),
        (np.array([0, 4095, 2048, 1], np.uint16), [0, 255, 128, 0], "up to 4095 are read as 12 bi"),
        (np.array([0, 600, 1023, 1], np.int64), [0, 150, 255, 0], "up to 1023 are read as 10 bits"),
        (np.array([0, 65535, 257, 1], np.uint16), [0, 255, 1, 0], "up to 65535 are read as 16 bi"),
        (np.array([False, True, True, False]), [0, 255, 255, 0], None),
    ],
)
def test_pixels_of_other_types_become_bytes_by_one_rule_for_all_parts(
    images: Any, wanted: list[int], note: str | None, tmp_path: Path, load: Load
) -> None:
    drawn = np.broadcast_to(images[:, None, None], (4, 4, 4))
    low = np.zeros_like(drawn)  # a part of its own range would be scaled otherwise
    path = npz(
        tmp_path / "k.npz",
        x_train=low,
        y_train=[0, 1, 0, 1],
        x_test=drawn,
        y_test=[0, 1, 0, 1],
    )
    data, events = load(path)
    assert data.test.images[:, 0, 0, 0].tolist() == wanted
    assert data.train.images.max() == 0
    assert (note is None and not notes(events)) or note in notes(events)[0]


@pytest.mark.parametrize(
    ("arrays", "told"),
    [
        ({"x_train": np.zeros((4, 4, 4))}, "has arrays x_train; it takes train_images"),
        ({"x": np.full((4, 4, 4), -1.0), "y": [0, 1, 0, 1]}, "pixels from -1 to -1, whose range"),
        ({"x": np.full((4, 4, 4), 1.5), "y": [0, 1, 0, 1]}, "pixels from 1.5 to 1.5, whose range"),
        ({"x": np.full((4, 4, 4), np.nan), "y": [0, 1, 0, 1]}, "pixels from nan to nan"),
        ({"x": np.zeros((4, 16)), "y": [0, 1, 0, 1]}, r"is \[4, 16\], and images are \[n, height"),
        ({"x": np.zeros((4, 4, 4, 4)), "y": [0, 1, 0, 1]}, r"is \[4, 4, 4, 4\], and images are"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, 0]}, "has 4 images but 3 labels"),
        ({"x": np.zeros((0, 4, 4)), "y": []}, "has no labels in its train part"),
        ({"x": np.zeros((4, 4, 4)), "y": np.eye(4)[[0, 1, 2, 2]] + np.eye(4)}, "several an image"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, 2, 0.5]}, "row 3 has the label 0.5"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 0, 0, 0]}, "has 1 class, at least 2"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, -1, 0]}, "row 2 has no label"),
        ({"x": np.array(["a"] * 4), "y": [0, 1, 0, 1]}, r"is \[4\], and images are"),
        ({"x": np.zeros((4, 4, 4)), "y": np.array([{}] * 4)}, "cannot be loaded when allow_pickle"),
        ({"x_test": np.zeros((4, 4, 4)), "y_test": [0, 1, 0, 1]}, "has no train part, only test"),
    ],
)
def test_arrays_that_are_no_dataset_are_refused(
    arrays: dict[str, Any], told: str, tmp_path: Path, load: Load
) -> None:
    with pytest.raises(DataError, match=told) as error:
        load(npz(tmp_path / "k.npz", **arrays))
    assert str(tmp_path / "k.npz") in error.value.hint
    assert "\n" not in error.value.message


def test_one_hot_labels_and_labels_from_1_are_class_numbers(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    images = picture(0, 4, 4, 4)
    one_hot = load(npz(tmp_path / "k.npz", x=images, y=np.eye(2)[[0, 1, 1, 0]]), test=0.5)[0]
    assert torch_list(one_hot) == {0: 1, 1: 1}
    from_1 = load(npz(tmp_path / "l.npz", x=images, y=[1, 2, 2, 1]), test=0.5)[0]
    assert from_1.class_names == ("1", "2")
    assert from_1.train.labels.equal(one_hot.train.labels)


def torch_list(data: Any) -> dict[int, int]:
    return {label: data.train.labels.tolist().count(label) for label in (0, 1)}


class Evil:
    """What runs code where a pickle of it is read."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_pickles_in_arrays_never_run(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = np.array([Evil(), Evil()], dtype=object)
    np.savez(tmp_path / "k.npz", x=bad, y=np.array([0, 1]))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Evil()))
    for name in ("k.npz", "plain.npz"):
        with pytest.raises(DataError):
            load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


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
    with pytest.raises(error, match=message), array_files.damage_as_error(path, "file"):
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
    with pytest.raises(MemoryError), array_files.damage_as_error(tmp_path, "file"):
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
    ("content", "told"),
    [
        (b"", "does not begin as an idx file"),
        (b"\0\0\x08\3\0\0\0\6", "ends within its header"),
        (b"\0\0\x0d\3" + bytes(12), "does not begin as an idx file of bytes"),
        (struct.pack(">IIII", 0x803, 6, 4, 5) + bytes(119), "states 120 bytes, and 119 follow"),
        (struct.pack(">IIII", 0x803, 2**31, 2**31, 2**31), r"images but 6 labels"),
    ],
)
def test_idx_files_cut_short_are_refused(
    content: bytes, told: str, tmp_path: Path, load: Load, picture: Picture
) -> None:
    mnist(tmp_path / "raw", picture)
    (tmp_path / "raw" / "train-images-idx3-ubyte").write_bytes(content)
    with pytest.raises(DataError, match=told):
        load(tmp_path / "raw")
    (tmp_path / "raw" / "train-labels-idx1-ubyte").unlink()
    with pytest.raises(DataError, match=r"has no labels beside it: train-labels-idx1-ubyte is not"):
        load(tmp_path / "raw")


@pytest.mark.parametrize("classes", [10, 100])
def test_the_folders_of_cifar(
    classes: int, tmp_path: Path, load: Load, picture: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "my cifar"
    write_cifar(folder, picture, classes, monkeypatch)
    for name in ("data_batch_1", "train"):
        (folder / name).touch()
    data, _ = load(folder)
    assert data.class_names == tuple(f"class {label}" for label in range(classes))
    written = picture(2, classes, 3 * 32 * 32).reshape(-1, 3, 32, 32)
    assert np.array_equal(data.test.images.numpy(), written)
    assert (peek(folder), count(folder)) == (Shape(classes, 3, 32, 32), 50_000)


@pytest.mark.parametrize("name", ["cifar-10-batches-py", "cifar-100-python"])
def test_files_of_cifar_that_are_not_as_published_are_never_unpickled(
    name: str, tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / name
    folder.mkdir()
    batches = [f"data_batch_{n}" for n in range(1, 6)]
    files = [*batches, "test_batch", "batches.meta"] if "10-" in name else ["train", "test", "meta"]
    for file in files:
        (folder / file).write_bytes(pickle.dumps(Evil()))
    with pytest.raises(DataError, match=r"its checksum differs.*could run code") as error:
        load(folder)
    assert error.value.hint.startswith(f"wget -N -P {tmp_path} 'https://www.cs.toronto.edu/")
    assert not (tmp_path / "ran").exists()


def test_files_of_arrays_that_are_damaged_are_refused(tmp_path: Path, load: Load) -> None:
    content = io.BytesIO()
    np.savez(content, x=np.zeros((4, 4, 4), np.uint8), y=np.array([0, 1, 0, 1]))
    path = tmp_path / "k.npz"
    for kept in (0, 10, 200, len(content.getvalue()) - 30):
        path.write_bytes(content.getvalue()[:kept])
        for attempt in (load, peek, count):
            with pytest.raises(DataError, match=r"k\.npz is no \.npz file of arrays, or damaged"):
                attempt(path)


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


def test_arrays_that_are_not_used_are_named_in_one_note(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    x, y = picture(0, 6, 4, 4), LABELS[:, 0]
    arrays = {"x_train": x, "y_train": y, "x_test": x, "extra_images": x}
    wanted = "k: arrays that are not used: x_test, extra_images"
    assert notes(load(npz(tmp_path / "k.npz", **arrays))[1])[0] == wanted
    savemat(tmp_path / "k.mat", arrays)
    assert notes(load(tmp_path / "k.mat")[1])[0] == wanted
    both = npz(tmp_path / "both.npz", images=x, data=x, labels=y)
    assert notes(load(both)[1])[0] == "both: arrays that are not used: data"
