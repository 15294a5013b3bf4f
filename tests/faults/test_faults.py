"""A few of the faults of `python -m tests.faults`, and more in the slow tests: nothing is lost."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest
import torch

import datm_engine.pipeline
from datm_engine.distillation.iteration import Distillation
from datm_engine.experts.trajectories import ExpertSet
from tests.faults import company, damage, kills
from tests.faults.__main__ import PARTS
from tests.faults.judging import LOSS, Outcome, judge
from tests.faults.lab import Lab, empty


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    if torch.cuda.is_available():
        pytest.skip("a process that may have used a GPU must not be forked: python -m tests.faults")
    return Lab(tmp_path_factory.mktemp("faults"))


def none_lost(found: Iterable[Outcome], least: int) -> None:
    result = list(found)
    assert len(result) >= least
    assert [outcome for outcome in result if outcome.verdict == LOSS] == []


def test_killed_at_random_moments(lab: Lab) -> None:
    none_lost(kills.at_random_moments(lab, random.Random(1), 2), 2)


def test_killed_within_writes(lab: Lab) -> None:
    none_lost(kills.in_writes(lab, random.Random(2), 3), 3)


def test_no_room_for_a_write(lab: Lab) -> None:
    none_lost(kills.without_room(lab, random.Random(3), 2), 2)


@pytest.mark.parametrize("pattern", ["events.jsonl", "checkpoint.safetensors"])
def test_damage(pattern: str, lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(damage, "EVERY", (f"runs/r/{pattern}",))
    each = damage.of_every_file(lab, random.Random(4), 1)
    none_lost(islice(each, 1, 4, 2), 1)
    each.close()


def test_company(lab: Lab) -> None:
    draws = random.Random(5)
    none_lost(company.two_on_one_run(lab, draws, 1), 1)
    none_lost(company.two_of_one_name(lab, 1), 1)
    none_lost(company.moved_clocks(lab, draws, 1), 1)


def test_lost_terminals(lab: Lab) -> None:
    none_lost(company.lost_terminals(lab, random.Random(6), 4), 4)


def test_a_loss_is_noticed(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the result, of finished work, and of the two lines: children are forked as they are."""

    def lost(owner: object, name: str, broken: Callable[..., object]) -> str:
        case = damage.halfway(lab)
        with monkeypatch.context() as breaking:
            breaking.setattr(owner, name, broken)
            outcome = judge(lab, case, "killed", name)
        empty(case)
        assert outcome.verdict == LOSS, name
        return outcome.why

    begin = Distillation.__init__

    def forget(self: Distillation, *given: Any) -> None:
        begin(self, *given[:-1], replace(given[-1], velocities={}))

    def fail(*given: object) -> None:
        raise ZeroDivisionError

    assert "checkpoint.safetensors" in lost(Distillation, "__init__", forget)

    def remove(experts: ExpertSet, count: int) -> list[int]:
        for expert in experts.present(count):
            path = experts.path(expert)
            path.rename(path.with_suffix(".aside"))  # removed, its inode could be given again
        return []

    assert "was trained again" in lost(ExpertSet, "ready", remove)
    assert "exit code 1" in lost(datm_engine.pipeline, "problems", fail)


@pytest.mark.slow
@pytest.mark.parametrize("part", PARTS)
def test_many_more(part: str, lab: Lab) -> None:
    none_lost(PARTS[part](lab, random.Random(7), 30), 0 if part == "small disks" else 3)
