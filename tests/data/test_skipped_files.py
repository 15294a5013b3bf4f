"""Files and folders in a folder of images that are skipped, and how that is reported."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from datm_engine.data.datasets import RealData
from datm_engine.errors import DataError
from datm_engine.hints import fix_text

from .conftest import agrees, counts, notes

Load = Callable[..., tuple[RealData, list[Any]]]

Photos = Callable[..., Path]

Fill = Callable[..., Path]

SYSTEM = [
    "@eaDir", "@EADIR", ".thumbnails", ".Trashes", "__MACOSX", ".ipynb_checkpoints", "#recycle",
    "$RECYCLE.BIN", "lost+found", ".git", ".AppleDouble", ".picasaoriginals", ".sync",
    ".stfolder", "System Volume Information",
]  # fmt: skip


@pytest.mark.parametrize("name", SYSTEM)
def test_folders_of_systems_and_tools_are_skipped_at_any_depth(
    load: Load, photos: Photos, fill: Fill, tmp_path: Path, name: str
) -> None:
    root = photos(train=3, test=2)
    for place in ("", "train", "test", "train/cat", "train/cat/deeper"):
        fill(root / place / name / "0.png", 1)
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert notes(events) == []
    agrees(root, data, tmp_path)


def test_files_of_systems_are_skipped(load: Load, photos: Photos) -> None:
    root = photos(train=3, test=2)
    for name in (".DS_Store", "._0.png", ".0.png", "Thumbs.db", "desktop.ini"):
        (root / "train" / "cat" / name).write_bytes(b"no image")
    data, events = load(root)
    assert counts(data) == (6, 0, 4)
    assert notes(events) == []


class TestSkippedFiles:
    def test_are_counted_by_extension(
        self, load: Load, photos: Photos, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = photos(train=3, test=2)
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        for n in range(10):
            (root / "train" / "cat" / f"x{n}.HEIC").write_bytes(b"HEIC")
        for name in ("a.psd", "b.psd", "c", "d.txt", "e.json"):
            (root / "test" / "dog" / name).write_bytes(b"other")
        data, events = load(root)
        assert counts(data) == (6, 0, 4)
        assert notes(events) == [
            f"13 files in {root} skipped: 10 .heic (pip install "
            "'datm[heic]' reads them), 2 .psd, 1 without an extension"
        ]

    def test_are_read_with_the_package(self, load: Load, photos: Photos, tmp_path: Path) -> None:
        heif = pytest.importorskip("pillow_heif")
        root = photos(train=3, test=2)
        path = root / "train" / "cat" / "0.png"
        heif.from_pillow(Image.open(path)).save(path.with_suffix(".heic"), quality=-1)
        path.unlink()
        data, events = load(root, resolution=6)
        assert counts(data) == (6, 0, 4)
        assert notes(events) == []

    def test_a_class_of_nothing_else_names_the_package(
        self, load: Load, photos: Photos, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root = photos(train=1, test=1)
        monkeypatch.setitem(sys.modules, "pillow_heif", None)
        path = root / "train" / "cat" / "0.png"
        path.rename(path.with_suffix(".heif"))
        with pytest.raises(DataError, match=r"class cat has no images: .* HEIC images") as error:
            load(root)
        assert fix_text(error.value.fix) == "pip install 'datm[heic]'"


def test_extensions_go_by_any_letter_case(load: Load, photos: Photos) -> None:
    root = photos(train=2, test=1)
    for path in list(root.rglob("0.png")):
        path.rename(path.with_suffix(".PnG"))
    assert counts(load(root)[0]) == (4, 0, 2)
