"""Files from outside are data: what holds code is refused before it runs."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from datm_engine.errors import FileError
from datm_engine.interop import pickles


class Bomb:
    """Unpickling it makes a folder."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("mapped", [False, True])
def test_code_is_refused_and_does_not_run(mapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "images_best.pt"
    torch.save([torch.zeros(2), Bomb(tmp_path / "ran")], path)
    with pytest.raises(FileError, match="could run code"):
        pickles.read_pickle(path, mapped=mapped)
    assert not (tmp_path / "ran").exists()


def test_a_bare_pickle_with_code_is_refused_too(tmp_path: Path) -> None:
    path = tmp_path / "images_best.pt"
    path.write_bytes(pickle.dumps(Bomb(tmp_path / "ran")))
    with pytest.raises(FileError):
        pickles.read_pickle(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("number", [np.float64(0.5), np.float32(0.5), np.int64(3)])
def test_numbers_of_numpy_are_data(number: object, tmp_path: Path) -> None:
    torch.save({"accs": [number]}, tmp_path / "res.pt")
    assert pickles.read_pickle(tmp_path / "res.pt") == {"accs": [number]}


@pytest.mark.skipif(not Path("/proc/self/maps").exists(), reason="needs Linux's list of mappings")
@pytest.mark.parametrize("mapped", [False, True])
def test_mapped_tensors_stay_in_their_file(mapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save([torch.randn(100, 100), torch.randn(100, 100)], path)
    read = pickles.read_pickle(path, mapped=mapped)
    of_file = [
        line.split()[0]
        for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith(str(path))
    ]
    ranges = [tuple(int(end, 16) for end in ends.split("-")) for ends in of_file]
    for tensor in read:
        assert any(low <= tensor.data_ptr() < high for low, high in ranges) == mapped


@pytest.mark.parametrize("mapped", [False, True])
@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no archive", b"just text\n" * 9])
def test_what_is_no_such_file_is_reported(content: bytes, mapped: bool, tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    path.write_bytes(content)
    with pytest.raises(FileError, match=r"x\.pt"):
        pickles.read_pickle(path, mapped=mapped)


def test_a_file_cut_short_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "x.pt"
    torch.save(torch.zeros(1000), path)
    path.write_bytes(path.read_bytes()[:1500])
    with pytest.raises(FileError, match=r"x\.pt"):
        pickles.read_pickle(path)


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="no such file"):
        pickles.read_pickle(tmp_path / "x.pt")
