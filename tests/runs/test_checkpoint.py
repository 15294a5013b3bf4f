"""A damaged checkpoint is reported, and the run resumes from the one before it."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
import torch

from datm_engine.errors import FileError
from datm_engine.hints import fix_text
from datm_engine.runs.checkpoint import Checkpoint, Progress, previous_checkpoint


def checkpoint(iteration: int) -> Checkpoint:
    learned = {"images": torch.rand(4, 1, 2, 2), "labels": torch.rand(4, 2)}
    learned["syn_lr"] = torch.tensor(0.1, dtype=torch.float64)
    return Checkpoint(Progress(iteration=iteration, loss=0.5), learned, {}, "set")


def flip(path: Path, at: int) -> None:
    content = bytearray(path.read_bytes())
    content[at] ^= 1
    path.write_bytes(content)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where three checkpoints were saved, one after another."""
    for iteration in (1, 2, 3):
        checkpoint(iteration).save(tmp_path / "checkpoint.safetensors")
    return tmp_path / "checkpoint.safetensors"


def test_the_one_before_is_kept(path: Path) -> None:
    assert Checkpoint.load(path).progress.iteration == 3
    assert Checkpoint.load(previous_checkpoint(path)).progress.iteration == 2
    assert sorted(path.parent.iterdir()) == sorted([path, previous_checkpoint(path)])


def test_what_was_kept_is_not_lost_where_the_next_cannot_be_written(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("os.fsync", full)
        for _ in range(2):
            with pytest.raises(FileError, match="No space left"):
                checkpoint(4).save(path)
    assert Checkpoint.load(path).progress.iteration == 3
    checkpoint(5).save(path)
    assert Checkpoint.load(previous_checkpoint(path)).progress.iteration == 3
    assert sorted(path.parent.iterdir()) == sorted([path, previous_checkpoint(path)])


def test_damage_hints_at_the_one_before(path: Path) -> None:
    flip(path, -1)
    with pytest.raises(FileError, match="not what was written") as raised:
        Checkpoint.load(path)
    assert "at iteration 2" in fix_text(raised.value.fix)
    subprocess.run(shlex.split(fix_text(raised.value.fix), comments=True), check=True)
    assert Checkpoint.load(path).progress.iteration == 2


def test_without_a_sound_one_the_run_starts_again(path: Path) -> None:
    for each in (path, previous_checkpoint(path)):
        each.write_bytes(each.read_bytes()[:100])
    with pytest.raises(FileError, match="is damaged") as raised:
        Checkpoint.load(path)
    assert fix_text(raised.value.fix).startswith(f"mv {path} {path}.damaged")


@pytest.mark.parametrize(
    "wrong",
    [
        {"iteration": -1},
        {"iteration": "3"},
        {"last_candidate": True},
        {"loss": "low"},
        {"skip_reason": "tired"},
    ],
)
def test_progress_that_is_none(wrong: dict[str, object], path: Path) -> None:
    damaged = checkpoint(4)
    for name, value in wrong.items():
        object.__setattr__(damaged.progress, name, value)
    damaged.save(path)
    with pytest.raises(FileError, match=f"{next(iter(wrong))}: "):
        Checkpoint.load(path)
