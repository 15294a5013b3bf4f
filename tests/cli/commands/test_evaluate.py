"""`datm evaluate` beside real images that experts choose, with the experts that there are."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Answer, assert_two_lines

Datm = Callable[..., Answer]
ALL = "random,herding,kcenter,forgetting,el2n,full"


@pytest.fixture
def run(datm: Datm, settings: Path) -> Path:
    words = ["--name", "r", "--experts-dir", "mine", "--iterations", 1]
    assert datm("distill", "--config", settings, *words, "--quiet").code == 0
    return Path("runs/r")


def test_every_subset_is_a_row_of_every_network(datm: Datm, run: Path) -> None:
    words = ["--against", ALL, "--networks", "convnetbn,mlp", "--repeats", 2]
    answer = datm("evaluate", run, *words)
    assert answer.code == 0, answer.err
    rows = [line.split() for line in answer.out.splitlines()]
    for network in ("convnetbn", "mlp"):
        sets = [cells[0] for cells in rows if cells[1:2] == [network]]
        assert sets == ["distilled", *ALL.split(",")]
    assert all(cells[3] == "±" for cells in rows if cells[1:2] == ["mlp"])
    assert "herding: by the features of expert 1 after epoch 4" in answer.err
    result = "the highest of each class, over 2 experts after"
    assert f"forgetting: {result} epochs 1 to 4" in answer.err
    assert answer.err.count(f"el2n: {result} epoch 1") == 1, "chosen once for all networks"

    results = datm("evaluate", run, *words, "--json").json["results"]
    subsets = ALL.split(",")[:-1]
    assert [row["set"] for row in results] == [*2 * ["distilled", *subsets], "full", "full"]
    assert {row["images"] for row in results if row["set"] != "full"} == {10}
    again = datm("evaluate", run, *words, "--json").json["results"]
    assert results == again


def test_without_experts_it_names_the_command_that_makes_them(datm: Datm, run: Path) -> None:
    shutil.rmtree("mine")
    answer = datm("evaluate", run, "--against", "herding", "--quiet", "--repeats", 1)
    assert_two_lines(answer, 1, "no experts of these settings", "datm experts --config runs/r/run")
    assert not Path("mine").exists(), "none were trained"
    assert datm(*answer.hint.split()[1:], "--quiet").code == 0
    answer = datm("evaluate", run, "--against", "herding", "--json", "--repeats", 1)
    assert [row["set"] for row in answer.json["results"]] == ["distilled", "herding"]


def test_other_settings_have_other_experts(datm: Datm, run: Path) -> None:
    changed = ["--set", "experts.lr=0.2"]
    answer = datm("evaluate", run, "--against", "el2n", "--repeats", 1, "--quiet", *changed)
    assert_two_lines(answer, 1, "no experts of these settings", "--set experts.lr=0.2")
    assert datm(*answer.hint.split()[1:], "--quiet").code == 0
    answer = datm("evaluate", run, "--against", "el2n", "--repeats", 1, "--json", *changed)
    assert len(answer.json["results"]) == 2


def test_a_file_finds_its_experts_too(datm: Datm, run: Path) -> None:
    shutil.copy(run / "distilled.safetensors", "alone.safetensors")
    words = ["evaluate", "alone.safetensors", "--against", "kcenter", "--repeats", 1]
    answer = datm(*words, "--quiet")
    assert_two_lines(answer, 1, "experts/", "datm experts --config alone.safetensors")
    found = datm(*words, "--json", "--experts-dir", "mine").json["results"]
    assert [row["set"] for row in found] == ["distilled", "kcenter"]
    assert datm(*answer.hint.split()[1:], "--quiet").code == 0
    assert datm(*words, "--json").json["results"] == found


def test_names_that_are_not_known(datm: Datm, run: Path) -> None:
    answer = datm("evaluate", run, "--against", "herd", "--quiet")
    assert_two_lines(answer, 2, "herding", "--help")
    answer = datm("evaluate", run, "--networks", "resnet50", "--quiet")
    assert_two_lines(answer, 2, "resnet18", "--help")
