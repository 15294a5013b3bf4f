"""Files are written whole or not at all, and the same content gives the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from datm_engine.errors import FileError
from datm_engine.files import save_text
from datm_engine.tensors import save_tensors

FACTS = {f"key {i}": 'θ "quoted" \\ \n' * i for i in range(12)}


def test_same_content_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(5.0), "a": torch.arange(3)}
    for name in ("one", "two", "three"):
        save_tensors(tmp_path / name, tensors, FACTS)
    assert len({(tmp_path / name).read_bytes() for name in ("one", "two", "three")}) == 1
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert file.metadata() == FACTS
        assert torch.equal(file.get_tensor("b"), tensors["b"])


def test_without_metadata(tmp_path: Path) -> None:
    save_tensors(tmp_path / "file", {"a": torch.arange(3)}, {})
    with safe_open(tmp_path / "file", framework="pt") as file:
        assert torch.equal(file.get_tensor("a"), torch.arange(3))


@pytest.mark.parametrize("kind", ["text", "tensors"])
def test_a_failed_write_keeps_what_stood_there(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_text("before")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    tensors = {"a": torch.zeros(3)}
    write = {
        "text": lambda: save_text(path, ""),
        "tensors": lambda: save_tensors(path, tensors, {}),
    }
    with pytest.raises(FileError, match="No space left on device") as raised:
        write[kind]()
    assert raised.value.hint == f"df -h {tmp_path}"
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path], "no leftovers"
