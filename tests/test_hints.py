"""A hint is a command: whole, or a change to the one that was typed."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from datm_engine.hints import command, remedy, retyped

TYPED = ["distill", "--dataset", "my photos", "--ipc=50", "--set", "distill.lr_lr=1", "--quiet"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            "--ipc 3",
            "datm distill --dataset 'my photos' --set distill.lr_lr=1 --quiet --ipc 3",
        ),
        (
            "--dataset digits",
            "datm distill --ipc=50 --set distill.lr_lr=1 --quiet --dataset digits",
        ),
        ("--dataset ''", "datm distill --ipc=50 --set distill.lr_lr=1 --quiet"),
        ("--quiet", "datm distill --dataset 'my photos' --ipc=50 --set distill.lr_lr=1"),
        (
            "--set distill.lr_lr=0.1",
            "datm distill --dataset 'my photos' --ipc=50 --quiet --set distill.lr_lr=0.1",
        ),
        (
            "--set distill.syn_lr=2",
            "datm distill --dataset 'my photos' --ipc=50 --set distill.lr_lr=1 --quiet "
            "--set distill.syn_lr=2",
        ),
        ("--set distill.lr_lr=", "datm distill --dataset 'my photos' --ipc=50 --quiet"),
        ("--help", "datm distill --help"),
    ],
)
def test_what_was_typed_with_a_change(change: str, expected: str) -> None:
    assert retyped(TYPED, change) == expected


def test_an_option_without_its_value_is_no_obstacle() -> None:
    assert retyped(["distill", "--ipc"], "--ipc 3") == "datm distill --ipc 3"


def test_words_are_quoted() -> None:
    assert command("rm", Path("a b"), "c") == "rm 'a b' c"


def test_the_remedy_fits_the_problem_and_names_what_exists(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there"
    for number, expected in (
        (errno.ENOSPC, "df -h"),
        (errno.EROFS, "df -h"),
        (errno.EACCES, "chmod u+w"),
        (errno.ENOTDIR, "ls -ld"),
    ):
        assert remedy(OSError(number, "x"), place) == f"{expected} {tmp_path}"
    assert remedy(OSError(errno.ENOENT, "x"), place) == f"mkdir -p {place}"
    assert remedy(OSError(errno.ENOENT, "x"), tmp_path) == f"ls -ld {tmp_path}"


def test_what_torchrun_started_is_started_by_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_RUN_ID", "none")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    several = "torchrun --nproc-per-node 4 -m datm_cli "
    assert command("datm", "distill", "--resume", "r") == several + "distill --resume r"
    assert retyped(["evaluate", "r"], "--device cpu") == several + "evaluate r --device cpu"
    assert command("datm", "runs") == "datm runs"
