"""Files are written whole or not at all, and the same content gives the same bytes."""

from __future__ import annotations

import errno
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors import safe_open

from datm_engine.errors import FileError
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.files import Unreadable, remove_leftovers, save_text
from datm_engine.hints import fix_text
from datm_engine.networks.weights import Layout
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.tensors import read_tensors, save_tensors
from tests.conftest import ROOT

FACTS = {f"key {i}": 'θ "quoted" \\ \n' * i for i in range(12)}


def test_same_content_same_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(5.0), "a": torch.arange(3)}
    for name in ("one", "two", "three"):
        save_tensors(tmp_path / name, tensors, FACTS)
    assert len({(tmp_path / name).read_bytes() for name in ("one", "two", "three")}) == 1
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert FACTS.items() <= file.metadata().items()
        assert torch.equal(file.get_tensor("b"), tensors["b"])


@pytest.mark.parametrize(
    ("problem", "hint"),
    [
        (RuntimeError("unable to mmap 55 bytes from file <x>: Cannot allocate memory (12)"), ""),
        (OSError(errno.EMFILE, "Too many open files"), ""),
        (PermissionError(errno.EACCES, "Permission denied"), "chmod u+r "),
    ],
    ids=["memory", "descriptors", "rights"],
)
def test_what_cannot_be_read_now_is_not_called_damaged(
    problem: Exception, hint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or the hint would be to remove what is whole."""
    experts = ExpertSet(tmp_path, Layout(("weight",), ((5,),)), 2)
    experts.save(0, torch.rand(3, 5), {})
    learned = {"images": torch.rand(4, 1, 4, 4), "labels": torch.rand(4, 2)}
    learned["syn_lr"] = torch.tensor(0.1)
    path = tmp_path / "checkpoint.safetensors"
    Checkpoint(Progress(), learned, {}, "set").save(path)

    def refuse(*given: object, **options: object) -> None:
        raise problem

    monkeypatch.setattr("datm_engine.tensors.safe_open", refuse)
    for read in (lambda: experts.ready(1), lambda: Checkpoint.load(path)):
        with pytest.raises(Unreadable, match="cannot be read now") as raised:
            read()
        assert "damaged" not in raised.value.message
        assert fix_text(raised.value.fix).startswith(hint)
        assert bool(fix_text(raised.value.fix)) == bool(hint)


@pytest.mark.parametrize("damaged", ["tensor", "metadata"])
def test_damage_behind_an_intact_header_is_found(damaged: str, tmp_path: Path) -> None:
    path = tmp_path / "file"
    tensors = {"a": torch.arange(300.0), "b": torch.tensor(0.5, dtype=torch.float64)}
    save_tensors(path, tensors, {"iteration": "7"})
    found, metadata = read_tensors(path)
    assert torch.equal(found["a"], tensors["a"])
    assert metadata["iteration"] == "7"
    content = path.read_bytes()
    if damaged == "metadata":
        path.write_bytes(content.replace(b'"iteration":"7"', b'"iteration":"9"'))
    else:
        path.write_bytes(content[:-100] + b"\x01" + content[-99:])
    with pytest.raises(ValueError, match="not what was written"):
        read_tensors(path)


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
    assert fix_text(raised.value.fix) == f"df -h {tmp_path}"
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path], "no leftovers"


def test_leftovers_of_the_dead_are_removed_and_no_others(tmp_path: Path) -> None:
    here, dead = platform.node(), 2**22 + 1  # above the highest number a process can have
    gone = tmp_path / f".run.json.{dead}@{here}.part"
    stay = {
        tmp_path / f".run.json.{os.getpid()}@{here}.part",
        tmp_path / f".run.json.{dead}@elsewhere.part",
        tmp_path / ".somebody-elses.part",
        tmp_path / "run.json",
    }
    for path in (gone, *stay):
        path.touch()
    remove_leftovers(tmp_path)
    assert set(tmp_path.iterdir()) == stay


def test_what_a_library_leaves_behind_stays_in_a_folder_of_its_writer(tmp_path: Path) -> None:
    """A writer that is killed leaves one entry, which names it, and an earlier file as it was."""
    path = tmp_path / "images.safetensors"
    path.write_text("before")
    program = (
        "import os, sys\n"
        "from pathlib import Path\n"
        "from datm_engine.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as beside:\n"
        "    beside.with_name('.tmp0l6ERU').touch()\n"
        "    os.kill(os.getpid(), 9)\n"
    )
    subprocess.run([sys.executable, "-c", program, str(path)], check=False, cwd=ROOT)
    assert len(list(tmp_path.iterdir())) == 2
    remove_leftovers(tmp_path)
    assert list(tmp_path.iterdir()) == [path]
    assert path.read_text() == "before"
