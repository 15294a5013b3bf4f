"""What one run has measured of real images holds for another only where it would be the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.runs.directory import Run
from datm_engine.studies.study_plan import PlannedRun
from datm_engine.studies.study_results import shared_rows
from tests.conftest import tiny_config
from tests.studies.conftest import recorded_run, row

AGAINST = {"against": ["random", "full"]}


def run_of(tmp_path: Path, name: str, rows: list[Any], **tables: dict[str, Any]) -> Run:
    over = {**tables, "evaluate": {**AGAINST, **tables.get("evaluate", {})}}
    return recorded_run(tmp_path, PlannedRun(name, 1, "early", tiny_config(**over)), rows)


MEASURED = [row("random", 70.0), row("full", 99.0), row("distilled", 80.0)]


def test_rows_of_the_same_kind_are_taken_over_but_not_the_distilled_set(tmp_path: Path) -> None:
    first = run_of(tmp_path, "first", MEASURED)
    second = run_of(tmp_path, "second", [], distill={"max_start_epoch": 2, "iterations": 5})
    assert [(r.set, r.accuracy_mean) for r in shared_rows(second, [first])] == [
        ("random", 70.0),
        ("full", 99.0),
    ]


def test_what_is_known_or_not_asked_for_is_not_taken(tmp_path: Path) -> None:
    first = run_of(tmp_path, "first", MEASURED)
    knowing = run_of(tmp_path, "knowing", [row("random", 60.0)])
    assert [r.set for r in shared_rows(knowing, [first])] == ["full"]
    modest = run_of(tmp_path, "modest", [], evaluate={"against": ["random"]})
    assert [r.set for r in shared_rows(modest, [first])] == ["random"]
    other = run_of(tmp_path, "other", [], evaluate={"networks": ["mlp"]})
    assert shared_rows(other, [first]) == []


@pytest.mark.parametrize(
    ("tables", "taken"),
    [
        ({"distill": {"ipc": 2}}, ["full"]),
        ({"evaluate": {"epochs": 9}}, ["full"]),
        ({"evaluate": {"full_epochs": 9}}, ["random"]),
        ({"evaluate": {"real_lr": 0.9}}, []),
        ({"evaluate": {"mirrored": True}}, []),
        ({"distill": {"seed": 9}}, []),
        ({"network": {"width": 5}}, []),
        ({"dataset": {"validation": 0.1}}, []),
        ({"experts": {"count": 3}}, ["random", "full"]),
    ],
)
def test_what_a_row_depends_on_must_agree(
    tables: dict[str, Any], taken: list[str], tmp_path: Path
) -> None:
    first = run_of(tmp_path, "first", MEASURED)
    other = run_of(tmp_path, "other", [], **tables)
    assert [r.set for r in shared_rows(other, [first])] == taken


def test_another_precision_is_another_row(tmp_path: Path) -> None:
    first, other = run_of(tmp_path, "first", MEASURED), run_of(tmp_path, "other", [])
    other.update(arithmetic=Runtime(torch.device("cpu"), precision="bfloat16").arithmetic)
    assert shared_rows(other, [first]) == []
