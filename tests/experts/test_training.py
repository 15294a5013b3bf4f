"""Experts: snapshots, resuming, growing, fingerprints, what is said before they are trained."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import DatmError, FileError, Setting, Stopped
from datm_engine.experts.train import expert_facts, expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.hints import fix_text
from datm_engine.runs.events import ExpertEpoch, ExpertsPlanned, ExpertTrained, Noted
from datm_engine.settings.config import Config

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]


def test_snapshots_are_each_epochs_weights(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    seen, experts = finished(train_experts, make_config(), digits, tmp_path, cpu)
    snapshots = torch.stack([experts.snapshot(0, epoch) for epoch in range(5)])
    assert snapshots.shape == (5, experts.layout.size)
    moves = snapshots.diff(dim=0).norm(dim=1)
    assert bool((moves > 0).all()), "an aliased snapshot would not move"
    start, target = experts.segment(0, 1, 3)
    assert torch.equal(start, snapshots[1])
    assert torch.equal(target, snapshots[3])
    assert not torch.equal(experts.snapshot(1, 0), snapshots[0]), "each has weights of its own"

    trained = [event for event in seen if isinstance(event, ExpertTrained)]
    network = expert_network(make_config(), digits, 0, cpu)
    accuracy = network.accuracy(snapshots[-1], digits.train.images, digits.train.labels)
    assert trained[0].train_accuracy == pytest.approx(accuracy)


def test_training_goes_on_with_the_next_expert_and_gives_the_same(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    _, whole = finished(train_experts, make_config(), digits, tmp_path / "a", cpu)
    asked = iter([False] * 6 + [True] * 9)  # 4 epochs of the first, 2 of the second
    with pytest.raises(Stopped):
        finished(
            train_experts,
            make_config(),
            digits,
            tmp_path / "b",
            replace(cpu, stop=lambda: next(asked)),
        )
    part = ExpertSet(tmp_path / "b" / whole.folder.name, whole.layout, whole.epochs)
    assert part.ready(2) == [0]
    kept = part.path(0).stat().st_mtime_ns
    seen, part = finished(train_experts, make_config(), digits, tmp_path / "b", cpu)
    assert part.path(0).stat().st_mtime_ns == kept
    assert {event.expert for event in seen if isinstance(event, ExpertEpoch)} == {1}
    assert part.path(1).read_bytes() == whole.path(1).read_bytes()
    more = make_config(experts={"count": 3})
    seen, grown = finished(train_experts, more, digits, tmp_path / "b", cpu)
    assert grown.folder == part.folder
    assert {event.expert for event in seen if isinstance(event, ExpertEpoch)} == {2}


def test_the_plan_says_how_many_how_long_and_how_much(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    seen, experts = finished(train_experts, make_config(), digits, tmp_path, cpu)
    plan = next(event for event in seen if isinstance(event, ExpertsPlanned))
    assert (plan.total, plan.missing, plan.epochs, plan.epochs_needed) == (2, 2, 4, 3)
    written = sum(experts.path(expert).stat().st_size for expert in range(2))
    assert plan.size == pytest.approx(written, rel=0.2)
    assert plan.seconds > 0
    cost = [event.text for event in seen if isinstance(event, Noted)]
    assert "labels come from the last one" in cost[0]
    window = make_config(experts={"epochs": "window"})
    seen, _ = finished(train_experts, window, digits, tmp_path, cpu)
    assert any("all that the window needs" in e.text for e in seen if isinstance(e, Noted))
    hard = make_config(experts={"epochs": "window"}, distill={"labels": "hard"})
    seen, _ = finished(train_experts, hard, digits, tmp_path, cpu)
    assert not any("labels come" in e.text for e in seen if isinstance(e, Noted))
    again, _ = finished(train_experts, window, digits, tmp_path, cpu)
    assert [event.missing for event in again if isinstance(event, ExpertsPlanned)] == [0]


@pytest.mark.parametrize(
    "change",
    [
        {"experts": {"lr": 0.04}},
        {"experts": {"optimizer": "gsam"}},
        {"experts": {"rho": 0.02}},
        {"experts": {"seed": 1}},
        {"experts": {"precision": "bfloat16"}},
        {"experts": {"snapshots": "bfloat16"}},
        {"experts": {"epochs": 5}},
        {"network": {"width": 5}},
        {"dataset": {"preprocessing": "zca"}},
        {"dataset": {"augmentation": ["flip"]}},
    ],
    ids=str,
)
def test_sets_of_other_settings_never_mix(
    change: dict[str, Any], make_config: Make, digits: PreparedData
) -> None:
    mine = fingerprint(expert_facts(make_config(), digits, "float32"))
    assert mine == fingerprint(expert_facts(make_config(), digits, "float32"))
    assert mine != fingerprint(expert_facts(make_config(**change), digits, "float32"))


@pytest.mark.parametrize(
    "damage", [lambda path: path.unlink(), lambda path: path.write_bytes(b"{")]
)
def test_the_description_of_a_set_is_written_again_if_it_is_damaged(
    damage: Callable[[Path], object],
    make_config: Make,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    finished: Finished,
) -> None:
    _, experts = finished(train_experts, make_config(), digits, tmp_path, cpu)
    described = experts.folder / "experts.json"
    whole = described.read_bytes()
    damage(described)
    finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert described.read_bytes() == whole


def test_what_does_not_change_an_expert_does_not_change_the_set(
    make_config: Make, digits: PreparedData
) -> None:
    mine = fingerprint(expert_facts(make_config(), digits, "float32"))
    for change in ({"experts": {"count": 9}}, {"distill": {"ipc": 2, "seed": 4}}):
        assert mine == fingerprint(expert_facts(make_config(**change), digits, "float32"))


def test_precision_is_part_of_what_experts_are(make_config: Make, digits: PreparedData) -> None:
    exact = fingerprint(expert_facts(make_config(), digits, "float32"))
    assert fingerprint(expert_facts(make_config(), digits, "bfloat16")) != exact
    shared = make_config(experts={"precision": "float32"})
    assert fingerprint(expert_facts(shared, digits, "bfloat16")) == exact


def test_bfloat16_snapshots_take_half_and_are_the_same_but_for_rounding(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    _, whole = finished(train_experts, make_config(), digits, tmp_path, cpu)
    small = make_config(experts={"snapshots": "bfloat16"})
    _, half = finished(train_experts, small, digits, tmp_path, cpu)
    assert half.folder != whole.folder
    assert half.expert_size * 2 == whole.expert_size
    for ours, theirs in zip(half.segment(1, 1, 2), whole.segment(1, 1, 2), strict=True):
        assert ours.dtype == torch.float32
        assert torch.equal(ours, theirs.bfloat16().float())


def test_experts_in_bfloat16_learn(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    seen, experts = finished(train_experts, make_config(), digits, tmp_path, cpu.using("bfloat16"))
    losses = [event.loss for event in seen if isinstance(event, ExpertEpoch) and event.expert == 0]
    assert losses[-1] < losses[0]
    assert experts.snapshot(0, 1).dtype == torch.float32


def _damage(experts: ExpertSet, how: str) -> None:
    path = experts.path(0)
    whole = path.read_bytes()
    match how:
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
        case "garbage":
            path.write_bytes(b"not a tensor file at all")
        case "empty":
            path.write_bytes(b"")
        case "another set's":
            other = ExpertSet(experts.folder.with_name("other"), experts.layout, experts.epochs)
            other.folder.mkdir()
            other.save(0, torch.zeros(experts.epochs + 1, experts.layout.size), {})
            path.write_bytes(other.path(0).read_bytes())
        case "too short":
            experts.save(0, torch.zeros(2, experts.layout.size), {})
        case "not finite":
            experts.save(0, torch.full((5, experts.layout.size), torch.nan), {})
        case "not finite later":
            snapshots = torch.zeros(5, experts.layout.size)
            snapshots[3, -1] = torch.inf
            experts.save(0, snapshots, {})
        case "one bit":
            content = bytearray(path.read_bytes())
            content[-1000] ^= 1
            path.write_bytes(content)


@pytest.mark.parametrize(
    "how",
    [
        "truncated",
        "garbage",
        "empty",
        "another set's",
        "too short",
        "not finite",
        "not finite later",
        "one bit",
    ],
)
def test_a_damaged_expert_is_named_and_nothing_is_lost(
    how: str,
    make_config: Make,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    finished: Finished,
) -> None:
    _, experts = finished(train_experts, make_config(), digits, tmp_path, cpu)
    whole = experts.path(0).read_bytes()
    _damage(experts, how)
    with pytest.raises(FileError) as raised:
        finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert str(experts.path(0)) in raised.value.message
    assert fix_text(raised.value.fix) == f"rm {experts.path(0)}"
    experts.path(0).unlink()  # as the hint says
    finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert experts.path(0).read_bytes() == whole


def test_a_diverging_expert_is_explained(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    wild = make_config(network={"norm": "none"}, experts={"lr": 1e9})
    with pytest.raises(
        DatmError, match=r"expert 0 diverged in epoch \d: its loss is nan"
    ) as raised:
        finished(train_experts, wild, digits, tmp_path, cpu)
    assert raised.value.fix == Setting("experts.lr", 5e08)


def test_one_that_diverges_in_its_last_step_is_not_kept(
    make_config: Make,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The loss of that step was finite still."""

    def ends_beyond(*_: Any) -> Any:
        def step(theta: Tensor, velocity: Tensor, *_: Tensor) -> tuple[Tensor, ...]:
            return theta * torch.inf, velocity, torch.tensor([0.5, 0.9])

        return step

    monkeypatch.setattr("datm_engine.experts.train.expert_step", ends_beyond)
    with pytest.raises(DatmError, match="expert 0 diverged in epoch 1: its largest weight is"):
        finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert not [*tmp_path.rglob("*.safetensors")]


def test_what_a_killed_process_left_is_cleared_before_training(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> None:
    _, experts = finished(train_experts, make_config(), digits, tmp_path, cpu)
    left = experts.folder / f".expert-0001.safetensors.{2**22 + 1}@{platform.node()}.part"
    left.write_bytes(b"half of it")
    experts.path(1).unlink()
    finished(train_experts, make_config(), digits, tmp_path, cpu)
    assert not left.exists()
