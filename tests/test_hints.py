"""Fixes of errors as commands to type."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from datm_engine.errors import DatmError, Setting
from datm_engine.hints import HELP, command, datm, fix_text, hint_of, remedy, retyped

TYPED = ["distill", "--dataset", "my photos", "--ipc=50", "--set", "distill.lr_lr=1", "--quiet"]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (
            Setting("ipc", 3),
            "datm distill --dataset 'my photos' --set distill.lr_lr=1 --quiet --ipc 3",
        ),
        (
            Setting("dataset", "digits"),
            "datm distill --ipc=50 --set distill.lr_lr=1 --quiet --dataset digits",
        ),
        (Setting("dataset"), "datm distill --ipc=50 --set distill.lr_lr=1 --quiet"),
        (
            Setting("quiet", False),
            "datm distill --dataset 'my photos' --ipc=50 --set distill.lr_lr=1",
        ),
        (
            Setting("distill.lr_lr", 0.1),
            "datm distill --dataset 'my photos' --ipc=50 --quiet --set distill.lr_lr=0.1",
        ),
        (
            Setting("distill.syn_lr", 2),
            "datm distill --dataset 'my photos' --ipc=50 --set distill.lr_lr=1 --quiet "
            "--set distill.syn_lr=2",
        ),
        (Setting("distill.lr_lr"), "datm distill --dataset 'my photos' --ipc=50 --quiet"),
        (HELP, "datm distill --help"),
    ],
)
def test_a_setting_changes_the_command_that_was_typed(setting: Setting, expected: str) -> None:
    assert retyped(TYPED, setting) == expected


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        (Setting("distill.syn_lr", 0.005), "--set distill.syn_lr=0.005"),
        (Setting("experts.lr", 1 / 3), "--set experts.lr=0.333333"),
        (Setting("dataset.skip_damaged", True), "--set dataset.skip_damaged=true"),
        (Setting("evaluate.networks", ["convnet"]), """--set 'evaluate.networks=["convnet"]'"""),
        (Setting("runs_dir", Path("my runs")), "--runs-dir 'my runs'"),
        (Setting("device", "cpu"), "--device cpu"),
        (HELP, "--help"),
        ("df -h .", "df -h ."),
    ],
)
def test_a_fix_as_text(setting: Setting | str, expected: str) -> None:
    assert fix_text(setting) == expected


def test_a_hint_is_the_recorded_command_else_the_fix_else_the_same_command() -> None:
    error = DatmError("wrong", Setting("ipc", 3))
    assert hint_of(error, ["distill"]) == "datm distill --ipc 3"
    error.command = "datm distill --config run.json --ipc 3"
    assert hint_of(error, ["distill"]) == error.command
    assert hint_of(DatmError("wrong", "df -h"), ["distill"]) == "df -h"
    assert hint_of(DatmError("wrong", ""), ["distill", "-q"]) == "datm distill -q"


def test_a_command_by_name() -> None:
    assert datm("runs", runs_dir=Path("a b")) == "datm runs --runs-dir 'a b'"
    assert datm("inspect", "mine") == "datm inspect mine"
    assert datm("experts", dataset=None, set=["a.b=1", "c.d=2"]) == (
        "datm experts --set a.b=1 --set c.d=2"
    )


def test_an_option_without_its_value_is_replaced() -> None:
    assert retyped(["distill", "--ipc"], Setting("ipc", 3)) == "datm distill --ipc 3"


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
    assert (
        retyped(["evaluate", "r"], Setting("device", "cpu")) == several + "evaluate r --device cpu"
    )
    assert command("datm", "runs") == "datm runs"
