"""Folders of images, of parquet files and of anything: a dataset, or a DatmError."""

from __future__ import annotations

import io
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from datm_engine.data import datasets
from datm_engine.errors import DatmError
from datm_engine.hints import fix_text
from datm_engine.runs.events import ignore
from tests.conftest import dataset_settings
from tests.fuzz.conftest import Answer, assert_fine_or_two_lines, damaged, write


def encoded(kind: str, side: int = 8, mode: str = "RGB") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


SOUND = [encoded(kind) for kind in ("PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM")]
NAMES = st.sampled_from(["0.png", "1.jpg", "2.gif", "x.tif", ".hidden.png", "notes.txt", "é\n.png"])
CONTENTS = st.one_of(
    st.sampled_from(SOUND), st.sampled_from(SOUND).flatmap(damaged), st.binary(max_size=60)
)
FOLDERS = st.sampled_from(
    ["train/a", "train/b", "test/a", "test/b", "val/a", "train", "other", "."]
)


def try_(folder: Path, data_dir: Path, resolution: int | str = 8) -> None:
    try:
        datasets.peek(str(folder), data_dir=data_dir)
        datasets.load(
            dataset_settings(folder, resolution=resolution, validation=0.2), data_dir, emit=ignore
        )
    except DatmError as problem:
        assert problem.message
        assert fix_text(problem.fix)


@given(
    files=st.dictionaries(st.tuples(FOLDERS, NAMES), CONTENTS, max_size=6),
    resolution=st.sampled_from([8, "native"]),
)
def test_any_folder(
    files: dict[tuple[str, str], bytes], resolution: int | str, tmp_path: Path
) -> None:
    root = tmp_path / "photos"
    shutil.rmtree(root, ignore_errors=True)
    for part in ("train", "test"):
        for name in ("a", "b"):
            write(root / part / name / "sound.png", SOUND[0])
    for (folder, name), content in files.items():
        write(root / folder / name, content)
    try_(root, tmp_path / "data", resolution)


@pytest.mark.parametrize("what", ["link to itself", "pipe", "folder", "dangling link"])
def test_what_is_no_file(what: str, tmp_path: Path, type_: Callable[..., Answer]) -> None:
    """Nothing waits for a pipe that nobody writes."""
    root = tmp_path / "photos"
    for part in ("train", "test"):
        for name in ("a", "b"):
            write(root / part / name / "sound.png", SOUND[0])
    odd = root / "train" / "a" / "odd.png"
    {
        "link to itself": lambda: odd.symlink_to(odd),
        "pipe": lambda: os.mkfifo(odd),
        "folder": lambda: odd.mkdir(),
        "dangling link": lambda: odd.symlink_to(root / "nowhere.png"),
    }[what]()
    try_(root, tmp_path / "data")
    words = ["--data-dir", tmp_path, "--experts-dir", tmp_path, "--set", "experts.count=x"]
    assert_fine_or_two_lines(type_("experts", "--dataset", root, *words))


@given(data=st.data())
def test_any_parquet(data: st.DataObject, tmp_path: Path) -> None:
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    images = data.draw(st.lists(CONTENTS, min_size=2, max_size=3))
    labels = data.draw(
        st.lists(st.integers(-1, 3) | st.just(2**62), min_size=len(images), max_size=len(images))
    )
    rows = {"image": [{"bytes": image, "path": None} for image in images], "label": labels}
    file = io.BytesIO()
    parquet.write_table(arrow.table(rows), file)
    content = file.getvalue()
    if data.draw(st.booleans()):
        content = data.draw(damaged(content))
    for part in ("train", "test"):
        write(tmp_path / "p" / f"{part}-0.parquet", content)
    try_(tmp_path / "p", tmp_path / "data")
