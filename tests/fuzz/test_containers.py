"""Arrays, archives and parquet layouts, damaged or made up: a dataset, or a DatmError."""

from __future__ import annotations

import gzip
import io
import shutil
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.io import savemat

from datm_engine.data import datasets
from tests.fuzz.conftest import Answer, assert_fine_or_two_lines, damaged, write
from tests.fuzz.test_folders import SOUND, try_

IMAGES = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])


def npz() -> bytes:
    file = io.BytesIO()
    np.savez_compressed(file, train_images=IMAGES, train_labels=LABELS[:, None])
    return file.getvalue()


def mat(packed: bool) -> bytes:
    file = io.BytesIO()
    arrays = {"X": np.moveaxis(IMAGES, 0, -1), "y": LABELS[:, None] + 1}
    savemat(file, arrays, do_compression=packed)
    return file.getvalue()


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">I{array.ndim}I", 0x800 + array.ndim, *array.shape) + array.tobytes()


def members() -> dict[str, bytes]:
    return {f"{part}/{name}/0.png": SOUND[0] for part in ("train", "test") for name in "ab"}


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for name, content in members().items():
            packed.writestr(name, content)
    return file.getvalue()


def tarred(mode: str) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode) as packed:  # type: ignore[call-overload]
        for name, content in members().items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            packed.addfile(entry, io.BytesIO(content))
    return file.getvalue()


# The file that is damaged, and those that are with it.
FILES: dict[str, tuple[bytes, dict[str, bytes]]] = {
    "a.npz": (npz(), {}),
    "a.mat": (mat(False), {}),
    "train_a.mat": (mat(True), {}),
    "train-images-idx3-ubyte": (
        idx(IMAGES[..., 0]),
        {"train-labels-idx1-ubyte": idx(LABELS.astype(np.uint8))},
    ),
    "test-images-idx3-ubyte.gz": (
        gzip.compress(idx(IMAGES[..., 0])),
        {
            "test-labels-idx1-ubyte": idx(LABELS.astype(np.uint8)),
            "train-labels-idx1-ubyte": idx(LABELS.astype(np.uint8)),
            "train-images-idx3-ubyte": idx(IMAGES[..., 0]),
        },
    ),
    "a.zip": (zipped(), {}),
    "a.tar": (tarred("w"), {}),
    "a.tar.gz": (tarred("w:gz"), {}),
    "a.tar.xz": (tarred("w:xz"), {}),
    "a.tar.bz2": (tarred("w:bz2"), {}),
}
# SciPy reads .mat files in a process of its own, which takes long: they are damaged in fewer ways.
NAMES = st.sampled_from(sorted(name for name in FILES if not name.endswith(".mat")))


def placed(name: str, content: bytes, folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    for other, whole in FILES[name][1].items():
        write(folder / other, whole)
    return write(folder / name, content)


@pytest.mark.parametrize("name", sorted(FILES))
def test_the_files_are_sound_before_they_are_damaged(name: str, tmp_path: Path) -> None:
    path = placed(name, FILES[name][0], tmp_path / "f")
    assert datasets.peek(str(path), data_dir=tmp_path / "data").classes == 2
    known = datasets.training_counts(str(path), data_dir=tmp_path / "data")
    assert known is not None
    assert int(known.counts.sum()) in (2, 3, 4)


@given(name=NAMES, data=st.data())
def test_damaged(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = data.draw(damaged(FILES[name][0]))
    try_(placed(name, content, tmp_path / "f"), tmp_path / "data", "native")


@settings(max_examples=5)
@given(name=st.sampled_from(["a.mat", "train_a.mat"]), data=st.data())
def test_damaged_mat_files(name: str, data: st.DataObject, tmp_path: Path) -> None:
    content = data.draw(damaged(FILES[name][0]))
    try_(placed(name, content, tmp_path / "f"), tmp_path / "data", "native")


@given(name=NAMES, content=st.binary(max_size=400))
def test_any_bytes(name: str, content: bytes, tmp_path: Path) -> None:
    try_(placed(name, content, tmp_path / "f"), tmp_path / "data")


SHAPES = st.lists(st.integers(0, 4), max_size=4).map(tuple)
TYPES = st.sampled_from(["u1", "i8", "f4", "f8", "?", "U3", "S2", "c8", "M8[s]", "u2"])
KEYS = st.sampled_from(
    [
        "x",
        "y",
        "train_images",
        "train_labels",
        "x_test",
        "y_test",
        "val_images",
        "val_labels",
        "é/..",
    ]
)


@given(arrays=st.dictionaries(KEYS, st.tuples(SHAPES, TYPES), max_size=5))
def test_arrays_of_any_shape_and_type(
    arrays: dict[str, tuple[tuple[int, ...], str]], tmp_path: Path
) -> None:
    made = {key: np.zeros(shape, kind) for key, (shape, kind) in arrays.items()}
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as packed:
        for key, array in made.items():
            content = io.BytesIO()
            np.save(content, array)
            packed.writestr(f"{key}.npy", content.getvalue())
    try_(path, tmp_path / "data")


NAMES_IN_ARCHIVES = st.sampled_from(
    [
        "train/a/0.png",
        "train/b/0.png",
        "../x.png",
        "/x.png",
        "a//b.png",
        "",
        ".",
        "\0",
        "train",
        "é\n.png",
    ]
) | st.text(max_size=8)
KINDS = st.sampled_from([tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE])


@pytest.mark.filterwarnings("ignore:Duplicate name")
@given(entries=st.lists(st.tuples(NAMES_IN_ARCHIVES, KINDS), max_size=5))
def test_archives_of_any_names_write_nowhere_else(
    entries: list[tuple[str, bytes]], tmp_path: Path
) -> None:
    home = tmp_path / "home"
    shutil.rmtree(home, ignore_errors=True)
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as packed:
        for name, kind in entries:
            entry = tarfile.TarInfo(name.encode("utf-8", "replace").decode())
            entry.type, entry.linkname, entry.size = kind, "../../x.png", 0
            packed.addfile(entry)
    other = io.BytesIO()
    with zipfile.ZipFile(other, "w") as also:
        for name, _ in entries:
            member = zipfile.ZipInfo()
            # Set afterwards, because ZipInfo() cuts a name at a null byte.
            member.filename = name.encode("utf-8", "replace").decode()
            also.writestr(member, SOUND[0])
    for name, content in (("p.tar", file.getvalue()), ("p.zip", other.getvalue())):
        try_(write(home / name, content), home / "data")
    assert {path.name for path in home.iterdir()} <= {"p.tar", "p.zip", "data"}
    assert {path.name for path in (home / "data").glob("*")} <= {"unpacked", "decoded"}


CELLS = st.one_of(
    st.none(),
    st.sampled_from([SOUND[0], b"", b"no image"]),
    st.fixed_dictionaries(
        {"bytes": st.just(None), "path": st.sampled_from(["0.png", "../x", "\0"])}
    ),
    st.lists(st.lists(st.integers(-1, 300), max_size=2), max_size=2),
)
MARKS = st.one_of(st.none(), st.integers(-2, 3), st.floats(), st.text(max_size=2), st.just([1]))
COLUMNS = st.sampled_from(["image", "IMG", "label", "labels", "y", "id", "fine_label", "png"])
PATHS = st.sampled_from(
    ["train.parquet", "a/train.parquet", "b/train-0.parquet", "test/0.parquet", "x.PARQUET"]
)


@given(data=st.data())
def test_parquet_of_any_layout_columns_and_cells(data: st.DataObject, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    root = tmp_path / "p"
    shutil.rmtree(root, ignore_errors=True)
    for path in data.draw(st.lists(PATHS, min_size=1, max_size=3, unique=True)):
        columns = {}
        for name in data.draw(st.lists(COLUMNS, min_size=1, max_size=4, unique=True)):
            cells = MARKS if name.lower() in ("label", "labels", "y", "fine_label") else CELLS
            drawn: list[Any] = data.draw(st.lists(cells, min_size=2, max_size=2))
            try:
                columns[name] = arrow.array(drawn)
            except (arrow.ArrowException, OverflowError):  # of several types
                columns[name] = arrow.array([None, None])
        file = io.BytesIO()
        parquet.write_table(arrow.table(columns), file)
        write(root / path, file.getvalue())
    try_(root, tmp_path / "data")


@pytest.mark.parametrize("name", sorted(FILES))
def test_a_damaged_file_is_answered_in_two_lines(
    name: str, tmp_path: Path, type_: Callable[..., Answer]
) -> None:
    content = FILES[name][0]
    path = placed(name, content[: len(content) // 3], tmp_path / "f")
    words = ["--data-dir", tmp_path, "--experts-dir", tmp_path, "--set", "experts.count=x"]
    answer = type_("experts", "--dataset", path, *words)
    assert_fine_or_two_lines(answer)
    assert answer[0], answer
