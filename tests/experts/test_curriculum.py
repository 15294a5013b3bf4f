"""Experts that train on the easier images first: how hard images are, the schedule, and that they
are the same whenever and wherever they are trained."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.errors import DatmError, Setting, Stopped
from datm_engine.experts.curriculum import (
    EASY_FIRST,
    Curriculum,
    difficulty_ranks,
    el2n,
    ranks_in_use,
    scorer_epochs,
)
from datm_engine.experts.train import expert_facts, train_experts
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.runs.events import (
    DifficultyProgress,
    ExpertEpoch,
    ExpertsPlanned,
    Noted,
    WaitBegan,
    ignore,
)
from datm_engine.settings.config import Config
from datm_engine.settings.expert_measurements import SCORERS, early_epoch
from tests.conftest import finish, tiny_config
from tests.on_ranks import on_ranks

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]
EASY = {"order": "easy-first"}


def test_el2n_by_hand() -> None:
    """Logits of probabilities (3/4, 1/4) for class 0 and (1/2, 1/2) for class 1."""
    logits = torch.tensor([[math.log(3.0), 0.0], [0.0, 0.0]])
    found = el2n(logits, torch.tensor([0, 1]))
    assert found.tolist() == pytest.approx([math.sqrt(2) / 4, math.sqrt(2) / 2])
    assert logits[0, 1] == 0, "what it was given is as it was"


def test_el2n_is_taken_a_tenth_of_the_way() -> None:
    assert [early_epoch(epochs) for epochs in (1, 5, 20, 100, 200)] == [1, 1, 2, 10, 20]


def test_the_schedule_is_the_published_one_and_is_fitted_to_other_lengths() -> None:
    """Published for 100 epochs, of which the first is number 0 there."""
    published = {0: (0, 0.75), 10: (0, 0.875), 20: (0, 1), 40: (0, 1)}
    published |= {41: (0.1, 1), 60: (0.1, 1), 61: (0.2, 1), 99: (0.2, 1)}
    for epoch, expected in published.items():
        assert ranks_in_use(epoch + 1, 100) == pytest.approx(expected)
    five = [ranks_in_use(epoch, 5) for epoch in range(1, 6)]
    assert five == [(0, 0.75), (0, 1), (0, 1), (0.1, 1), (0.2, 1)]
    assert ranks_in_use(1, 1) == (0, 0.75)


def test_places_are_within_a_class() -> None:
    scores = torch.tensor([0.5, 0.1, 0.9, 0.1, 0.3, 0.7])
    labels = torch.tensor([0, 1, 0, 1, 0, 2])
    assert difficulty_ranks(scores, labels).tolist() == pytest.approx(
        [3 / 6, 1 / 4, 5 / 6, 3 / 4, 1 / 6, 1 / 2]
    )


@pytest.mark.parametrize("epoch", range(1, 11))
def test_an_epoch_is_as_long_as_one_of_all_images_and_has_those_in_play(epoch: int) -> None:
    labels = torch.arange(103) % 3
    where = difficulty_ranks(torch.rand(103, generator=generator(0)), labels)
    order = Curriculum(where, 10).order(epoch, generator(1))
    lower, upper = ranks_in_use(epoch, 10)
    assert len(order) == 103
    chosen = (where >= lower) & (where < upper)
    counts = torch.bincount(order, minlength=103)
    assert bool((counts[chosen] >= 1).all())
    assert int(counts.max() - counts[chosen].min()) <= 1, "each is used up before any comes again"
    assert int(counts[~chosen].sum()) == 0
    for c in range(3):
        share = float(chosen[labels == c].float().mean())
        assert share == pytest.approx(upper - lower, abs=0.03)


def test_a_class_of_one_image_is_never_without_it() -> None:
    alone = Curriculum(difficulty_ranks(torch.tensor([0.5, 0.1, 0.9]), torch.tensor([0, 1, 1])), 10)
    assert all(0 in alone.order(epoch, generator(epoch)) for epoch in range(1, 11))


def test_what_is_reported_and_counted_before_the_experts(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    config = make_config(experts=EASY)
    seen, _ = finished(train_experts, config, digits, tmp_path, cpu)
    kinds = [type(event) for event in seen]
    scored = [event for event in seen if isinstance(event, DifficultyProgress)]
    assert [event.done for event in scored] == list(range(1, SCORERS + 1))
    assert {event.total for event in scored} == {scorer_epochs(config, cpu.ranks)} == {SCORERS}
    assert kinds.index(ExpertsPlanned) < kinds.index(DifficultyProgress) < kinds.index(ExpertEpoch)
    assert EASY_FIRST in [event.text for event in seen if isinstance(event, Noted)]
    again, _ = finished(train_experts, config, digits, tmp_path, cpu)
    kinds = [type(event) for event in again]
    assert kinds == [WaitBegan, ExpertsPlanned], "nothing is scored for nothing"
    plain, _ = finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert not [event for event in plain if isinstance(event, DifficultyProgress)]


def test_the_order_makes_another_expert_from_the_first_epoch_on(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    _, easy = finished(train_experts, make_config(experts=EASY), digits, tmp_path, cpu)
    _, plain = finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert easy.folder != plain.folder
    assert torch.equal(easy.snapshot(1, 0), plain.snapshot(1, 0)), "from the same start"
    assert not torch.equal(easy.snapshot(1, 1), plain.snapshot(1, 1))


def test_easier_images_are_learned_sooner(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    def first(config: Config) -> float:
        seen, _ = finished(train_experts, config, digits, tmp_path, cpu)
        return sum(e.accuracy for e in seen if isinstance(e, ExpertEpoch) and e.epoch == 1)

    assert first(make_config(experts=EASY)) > first(make_config())


def test_they_are_the_same_whenever_they_are_trained(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    config = make_config(experts=EASY)
    _, whole = finished(train_experts, config, digits, tmp_path / "a", cpu)
    part = ExpertSet(tmp_path / "b" / whole.folder.name, whole.layout, whole.epochs)
    for asked, ready in ((3, []), (SCORERS + 5, [0])):
        stops, seen = iter([False] * asked + [True] * 9), list[Any]()
        on = replace(cpu, stop=lambda stops=stops: next(stops))
        with pytest.raises(Stopped):
            train_experts(config, digits, tmp_path / "b", on, emit=seen.append)
        assert part.ready(2) == ready
        assert bool(ready) == any(isinstance(event, ExpertEpoch) for event in seen)
    grown = make_config(experts={**EASY, "count": 3})
    _, part = finished(train_experts, grown, digits, tmp_path / "b", cpu)
    assert part.ready(3) == [0, 1, 2]
    for expert in range(2):
        assert part.path(expert).read_bytes() == whole.path(expert).read_bytes()


def train(ranks: Ranks, folder: Path) -> None:
    on = Runtime(torch.device("cpu"), ranks=ranks)
    config = tiny_config(experts=EASY)
    data = prepare(config.dataset, folder / "data", on, emit=ignore)
    seen, _ = finish(train_experts, config, data, folder / "experts", on)
    history = [event for event in seen if isinstance(event, DifficultyProgress)]
    assert {event.total for event in history} == {3 if ranks.leads else 2}


def test_they_are_the_same_on_two_ranks(
    make_config: Make,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    finished: Finished,
    data_dir: Path,
) -> None:
    (tmp_path / "data").symlink_to(data_dir)
    assert on_ranks(2, train, tmp_path) == [0, 0]
    _, whole = finished(train_experts, make_config(experts=EASY), digits, tmp_path / "one", cpu)
    for expert in range(2):
        theirs = tmp_path / "experts" / whole.folder.name / whole.path(expert).name
        assert theirs.read_bytes() == whole.path(expert).read_bytes()


def test_the_order_is_part_of_the_fingerprint(make_config: Make, digits: PreparedData) -> None:
    facts = expert_facts(make_config(), digits, "float32")
    easy = expert_facts(make_config(experts=EASY), digits, "float32")
    assert fingerprint(easy) != fingerprint(facts)


def test_a_diverging_network_is_explained(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    wild = make_config(network={"norm": "none"}, experts={**EASY, "lr": 1e9})
    with pytest.raises(DatmError, match="network 0 for scores of difficulty diverged") as raised:
        finished(train_experts, wild, digits, tmp_path, cpu)
    assert raised.value.fix == Setting("experts.lr", 5e08)
