"""`datm runs`: one line a run at any width; and the rule for tables that it shares."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest

from datm_engine.formatting import short_duration
from datm_engine.runs.events import RunEnded
from tests.cli.conftest import Answer, recorded

NAMES = ["digits-ipc1", "a-name-of-a-run-that-has-more-than-forty-letters-in-it"]


@pytest.mark.parametrize("width", [40, 50, 60, 72, 80, 100, 120, 200])
def test_a_run_is_one_line_at_any_width(
    width: int,
    datm: Callable[..., Answer],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in NAMES:
        recorded(tmp_path / "runs", name, [RunEnded(status="done", iteration=0)])
    monkeypatch.setenv("COLUMNS", str(width))
    heading, *lines = datm("runs").out.splitlines()
    assert heading.split()[0] == "run"
    assert [line.split()[0] for line in lines] == NAMES[::-1]  # the newest first
    for line in lines:
        assert len(line.rstrip()) <= max(width, len(NAMES[1]))


def test_what_matters_least_is_left_out_first(
    datm: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recorded(tmp_path / "runs", "digits-ipc1", [RunEnded(status="done", iteration=0)])
    headings = []
    for width in (200, 60, 40, 24):
        monkeypatch.setenv("COLUMNS", str(width))
        headings.append(datm("runs").out.splitlines()[0].replace("accuracy %", "accuracy").split())
    assert "loss" in headings[0]
    for wider, narrower in itertools.pairwise(headings):
        assert {*narrower} <= {*wider}
    assert headings[-1][:2] == ["run", "status"]


@pytest.mark.parametrize("width", [40, 80, 120])
def test_a_preset_is_one_line(
    width: int, datm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    _, *lines = datm("presets").out.splitlines()
    assert len(lines) == len(datm("presets", "--json").json["presets"])
    assert all(len(line.rstrip()) <= width for line in lines)


def test_ages_are_short() -> None:
    lengths = (0, 59, 60, 3_599, 86_399, 1_000_000)
    assert [*map(short_duration, lengths)] == ["0 s", "59 s", "1 min", "59 min", "23 h", "11 d"]
