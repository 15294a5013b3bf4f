"""CIFAR's folders, which are read only as published."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datm_engine.errors import DataError
from datm_engine.hints import fix_text
from datm_engine.settings.image_size import Shape

from .conftest import count, peek
from .test_built_in import write_cifar
from .test_npz import Evil

Load = Callable[..., Any]

Picture = Callable[..., np.ndarray]


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
    assert fix_text(error.value.fix).startswith(
        f"wget -N -P {tmp_path} 'https://www.cs.toronto.edu/"
    )
    assert not (tmp_path / "ran").exists()
