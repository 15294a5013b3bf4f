"""Datasets by their name on the Hub; here from a folder, which `datasets` takes as a name too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datm_engine.data import datasets
from datm_engine.data.arrays import Shape
from datm_engine.errors import DataError, DatmError

from .test_parquet import LABELS, write  # noqa: F401


def test_a_dataset_of_the_hub(
    tmp_path: Path,
    write: Callable[..., None],  # noqa: F811
    load: Callable[..., Any],
    picture: Callable[..., np.ndarray],
) -> None:
    pytest.importorskip("datasets")
    root = tmp_path / "pets"
    write(root / "data" / "train-00000-of-00001.parquet", names=["cat", "dog"])
    write(root / "data" / "test-00000-of-00001.parquet", seed=10, names=["cat", "dog"])
    data, _ = load(f"hf:{root}")
    assert data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == LABELS
    wanted = np.stack([picture(10 + i).transpose(2, 0, 1) for i in range(4)])
    assert np.array_equal(data.test.images.numpy(), wanted)
    assert datasets.peek(f"hf:{root}", data_dir=tmp_path / "data") == Shape(2, 3, 6, 6)


def test_what_is_not_there_is_told(
    tmp_path: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="cannot be loaded from the Hub"):
        load(f"hf:{tmp_path / 'nothing'}")


def test_without_its_package_it_is_told(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatmError, match="--dataset hf:a/b takes a package") as told:
        load("hf:a/b")
    assert told.value.hint == "pip install 'datm[hub]'"
    with pytest.raises(DataError, match="names no dataset"):
        load("hf:")
