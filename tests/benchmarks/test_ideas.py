"""The benchmark of ideas asks for runs that there can be, and that differ in the idea alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.ideas import IDEAS, SAME, mean_and_deviation, run_name
from datm_engine.runs.directory import Run
from datm_engine.settings import presets
from datm_engine.settings.choose_preset import choose_preset, with_method
from datm_engine.settings.config import build, differences, overlay, parse_assignments


@pytest.mark.parametrize("idea", IDEAS)
def test_a_run_differs_in_its_idea_alone(idea: str, tmp_path: Path) -> None:
    preset = presets.load("digits-ipc10")
    plain = build(overlay(preset, parse_assignments(SAME)), "here")
    config = build(overlay(preset, parse_assignments((*SAME, *IDEAS[idea]))), "here")
    stated = {assignment.partition("=")[0] for assignment in IDEAS[idea]}
    assert set(differences(plain, config)) == stated
    Run.create(tmp_path, run_name(idea, 10, 2), config, {})


def test_what_pad_is() -> None:
    chosen = with_method(choose_preset("digits", 10, None, None), "pad")
    pad = build(chosen.tables, "pad")
    preset = presets.load("digits-ipc10")
    assert pad == build(overlay(preset, parse_assignments(IDEAS["both as pad"])), "here")


def test_a_mean_with_its_deviation() -> None:
    assert mean_and_deviation([1.0, 2.0, 3.0]) == "2.0 ± 1.0"
    assert mean_and_deviation([89.14]) == "89.1 ± 0.0"
