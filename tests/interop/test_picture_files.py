"""A set as pictures: every image under its class, with the preprocessing undone."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datm_engine.errors import DatmError
from datm_engine.hints import fix_text
from datm_engine.interop import picture_files
from datm_engine.synthetic import SyntheticSet

MakeSet = Callable[..., SyntheticSet]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_a_class(channels: int, tmp_path: Path, make_set: MakeSet) -> None:
    made = make_set(channels=channels)
    written = picture_files.save_folder(tmp_path / "out", made)
    assert [path.relative_to(tmp_path / "out").as_posix() for path in written] == [
        f"{name}/000{number}.png" for name in ("cat", "dog", "ox") for number in (0, 1)
    ]
    wanted = made.pictures(clip=None).permute(0, 2, 3, 1).numpy()
    for path, picture in zip(written, wanted, strict=True):
        assert np.array_equal(np.asarray(Image.open(path)).reshape(picture.shape), picture)
    assert wanted.min() < wanted.max()


def test_names_that_no_folder_can_have(tmp_path: Path, make_set: MakeSet) -> None:
    names = picture_files.folder_names(("a/b", "a_b", ".."))
    assert names == ["a_b_0", "a_b_1", "_"]
    picture_files.save_folder(tmp_path / "out", make_set(names=("../x", "X", "x")))
    assert all((tmp_path / "out").resolve() in p.resolve().parents for p in tmp_path.rglob("*.png"))
    assert len(list((tmp_path / "out").iterdir())) == 3


def test_parquet_is_what_the_hub_reads(tmp_path: Path, make_set: MakeSet) -> None:
    parquet = pytest.importorskip("pyarrow.parquet")
    made = make_set()
    (path,) = picture_files.save_parquet(tmp_path / "out", made)
    assert path == tmp_path / "out" / "data" / "train-00000-of-00001.parquet"
    table = parquet.read_table(path)
    assert table.column_names == ["image", "label", "soft_label"]
    assert table["label"].to_pylist() == made.classes.tolist()
    assert np.allclose(table["soft_label"].to_pylist(), made.soft_labels.numpy())
    first = np.asarray(Image.open(io.BytesIO(table["image"][0].as_py()["bytes"])))
    assert np.array_equal(first, made.pictures(clip=None)[0].permute(1, 2, 0).numpy())
    features = json.loads(table.schema.metadata[b"huggingface"])["info"]["features"]
    assert features["label"]["names"] == ["cat", "dog", "ox"]


def test_datasets_reads_the_parquet(tmp_path: Path, make_set: MakeSet) -> None:
    datasets = pytest.importorskip("datasets")
    made = make_set()
    picture_files.save_parquet(tmp_path / "out", made)
    read = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))["train"]
    assert read.features["label"].names == ["cat", "dog", "ox"]
    assert np.array_equal(
        np.asarray(read[5]["image"]), made.pictures(clip=None)[5].permute(1, 2, 0).numpy()
    )
    assert np.allclose(read[5]["soft_label"], made.soft_labels[5].numpy())


def test_parquet_without_its_package_is_reported(
    tmp_path: Path, make_set: MakeSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DatmError, match="format parquet takes a package") as raised:
        picture_files.save_parquet(tmp_path / "out", make_set())
    assert fix_text(raised.value.fix) == "pip install 'datm[parquet]'"
    assert not (tmp_path / "out").exists()
