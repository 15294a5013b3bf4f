"""run.json says so where it is not what was written, and a copy is there to take its place."""

from __future__ import annotations

import json
import shlex
import subprocess
from pathlib import Path

import pytest

from datm_engine.errors import RunError
from datm_engine.runs.manifest import read_facts, write_facts

FACTS = {"config": {"distill": {"seed": 0, "syn_lr": 0.01}}, "created": 1.5, "source": "é\udcff"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_facts(tmp_path, FACTS)
    return tmp_path


def test_there_and_back(folder: Path) -> None:
    assert read_facts(folder) == FACTS
    write_facts(folder, {**read_facts(folder), "source": "another"})
    assert read_facts(folder)["source"] == "another"


def test_another_setting_is_noticed_and_the_copy_taken(folder: Path) -> None:
    path = folder / "run.json"
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(RunError, match="not what was written") as raised:
        read_facts(folder)
    subprocess.run(shlex.split(raised.value.hint, comments=True), check=True)
    assert read_facts(folder) == FACTS


def test_without_a_sound_copy(folder: Path) -> None:
    (folder / "run.json").write_text("{")
    (folder / "run.json.copy").write_text("[]")
    with pytest.raises(RunError, match="is damaged") as raised:
        read_facts(folder)
    assert raised.value.hint == f"datm runs --runs-dir {folder.parent}"


def test_facts_from_before_there_was_a_digest(folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"config": {}, "created": 0}))
    assert read_facts(folder) == {"config": {}, "created": 0}


@pytest.mark.parametrize(
    "wrong",
    [
        {"places": []},
        {"places": {"data_dir": 3}},
        {"created": "today"},
        {"created": float("nan")},
        {"arithmetic": {"precision": 3}},
    ],
)
def test_facts_of_other_types(wrong: dict[str, object], folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"config": {}, **wrong}))
    with pytest.raises(RunError, match="other types"):
        read_facts(folder)
