"""run.json is read as it was written, and is damaged if its fields have other types."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datm_engine.errors import RunError
from datm_engine.hints import fix_text
from datm_engine.runs.manifest import Manifest

FIELDS: dict[str, Any] = {
    "config": {"distill": {"seed": 0, "syn_lr": 0.01}},
    "created": 1.5,
    "source": "é\udcff",
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    Manifest(**FIELDS).save(tmp_path)
    return tmp_path


def test_there_and_back(folder: Path) -> None:
    assert Manifest.load(folder) == Manifest(**FIELDS)


def test_a_file_cut_short(folder: Path) -> None:
    (folder / "run.json").write_text("{")
    with pytest.raises(RunError, match="is damaged") as raised:
        Manifest.load(folder)
    assert fix_text(raised.value.fix) == f"datm runs --runs-dir {folder.parent}"


@pytest.mark.parametrize(
    "wrong",
    [
        {"options": []},
        {"options": {"data_dir": 3}},
        {"created": "today"},
        {"created": float("nan")},
        {"arithmetic": {"precision": 3}},
        {"arithmetic": {"precision": "float16"}},
        {"arithmetic": {"compile": "maybe"}},
        {"arithmetic": {"threads": 0}},
        {"nothing": "known"},
    ],
)
def test_fields_of_other_types(wrong: dict[str, object], folder: Path) -> None:
    (folder / "run.json").write_text(json.dumps({"config": {}, **wrong}))
    with pytest.raises(RunError, match=f"is damaged: {next(iter(wrong))}"):
        Manifest.load(folder)
