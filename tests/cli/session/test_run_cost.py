"""What a run costs, before it begins, and the question whether to start a long one."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from datm_cli.session import run_cost
from datm_cli.session.run_cost import RunEstimate
from datm_cli.text import terminal
from tests.cli.conftest import Answer

LONG = ["--preset", "digits-ipc1", "--iterations", "1000000"]


def one_line(text: str) -> str:
    return " ".join(text.split())


def test_a_dry_run_prints_settings_and_cost_and_starts_nothing(
    datm: Callable[..., Answer], tmp_path: Path
) -> None:
    shown = datm("distill", "--preset", "digits-ipc1", "--dry-run")
    assert "distill.syn_steps" in shown.out
    assert "preset digits-ipc1, 1,295 images to train on" in one_line(shown.out)
    assert "in all" in shown.out
    assert not (tmp_path / "runs").exists()
    facts = datm("distill", *LONG, "--dry-run", "--json").json
    assert facts["cost"]["seconds"] == sum(s["seconds"] for s in facts["cost"]["stages"])
    assert facts["cost"]["seconds"] > run_cost.LONG_SECONDS


def test_a_long_run_asks_and_starts_nothing_if_refused(
    datm: Callable[..., Answer], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    questions: list[str] = []

    def confirm(text: str, **_: object) -> bool:
        questions.append(text)
        return False

    monkeypatch.setattr(typer, "confirm", confirm)
    refused = datm("distill", *LONG, "--no-tui")
    assert refused.code == 1
    assert len(questions) == 1
    assert "takes about" in questions[0]
    assert "--set distill.iterations=250000" in refused.err
    assert "--yes" in refused.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("words", [["--yes"], ["--json"], ["--quiet"]])
def test_a_run_that_must_not_wait_is_not_asked_about(
    words: list[str],
    datm: Callable[..., Answer],
    settings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    monkeypatch.setattr(run_cost, "LONG_SECONDS", 0.0)

    def confirm(*_: object, **__: object) -> bool:
        raise AssertionError

    monkeypatch.setattr(typer, "confirm", confirm)
    assert datm("distill", "--config", settings, "--no-tui", *words).code == 0


def test_a_short_run_is_not_asked_about(
    datm: Callable[..., Answer], settings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(terminal, "is_interactive", lambda: True)
    confirmed: list[RunEstimate] = []
    ask = run_cost.confirm

    def confirm(estimated: RunEstimate) -> None:
        confirmed.append(estimated)
        ask(estimated)

    monkeypatch.setattr(run_cost, "confirm", confirm)
    assert datm("distill", "--config", settings, "--no-tui").code == 0
    assert [estimated.is_long for estimated in confirmed] == [False]


def test_graphs_are_kept_within_the_memory_that_is_stated(datm: Callable[..., Answer]) -> None:
    words = ["distill", "--preset", "digits-ipc1", "--dry-run", "--json", "--memory"]
    costs = [datm(*words, memory).json["cost"] for memory in ("0", "8GB")]
    none, some = (
        next(stage for stage in cost["stages"] if stage["stage"] == "distill") for cost in costs
    )
    assert none["memory"] < some["memory"]
    assert none["seconds"] > some["seconds"]  # graphs are built again on the way back


def test_experts_on_disk_are_not_counted_again(
    datm: Callable[..., Answer], settings: Path, tmp_path: Path
) -> None:
    words = ["--config", settings, "--dry-run", "--json"]

    def disk_of_experts() -> float:
        stages = {stage["stage"]: stage for stage in datm("distill", *words).json["cost"]["stages"]}
        return float(stages["experts"]["disk"])

    before = disk_of_experts()
    assert before > 0
    assert datm("experts", "--config", settings).code == 0
    assert disk_of_experts() == 0
    (described,) = (tmp_path / "experts").glob("*/experts.json")
    facts = json.loads(described.read_text())
    described.write_text(json.dumps(facts | {"network": {}}))
    assert disk_of_experts() == before
    described.write_text("{")
    assert disk_of_experts() == before
