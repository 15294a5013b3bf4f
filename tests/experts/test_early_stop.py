"""Experts that stop early: one decides for all, whoever trains it, and the decision stays."""

from __future__ import annotations

import fcntl
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.errors import ConfigError, Setting, Stopped
from datm_engine.experts import locks
from datm_engine.experts.held_out import early_stop, lowest_held_out_epoch, mean_loss
from datm_engine.experts.train import check_epochs, expert_facts, expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.runs.events import ExpertEpoch, ExpertsPlanned, Noted, ignore
from datm_engine.settings.config import Config
from datm_engine.settings.derived.early_stop import EarlyStop
from tests.conftest import finish, tiny_config
from tests.on_ranks import on_ranks

Make = Callable[..., Config]
STOP = 3


@pytest.fixture
def config(make_config: Make, monkeypatch: pytest.MonkeyPatch) -> Config:
    """Experts of 5 epochs at most, that are trained enough after `STOP`."""
    monkeypatch.setattr(EarlyStop, "is_enough", lambda _, loss, held_out: len(loss) - 1 == STOP)
    return make_config(experts={"count": 3, "epochs": 5, "early_stop": True})


def epochs_of(seen: list[Any], expert: int) -> list[int]:
    return [e.epoch for e in seen if isinstance(e, ExpertEpoch) and e.expert == expert]


def test_all_experts_have_the_epochs_of_the_first(
    config: Config, digits: PreparedData, cpu: Runtime, tmp_path: Path, make_config: Make
) -> None:
    seen, experts = finish(train_experts, config, digits, tmp_path, cpu)
    assert experts.epochs == STOP
    assert [epochs_of(seen, expert) for expert in range(3)] == [[1, 2, 3]] * 3
    plans = [event for event in seen if isinstance(event, ExpertsPlanned)]
    assert [(plan.missing, plan.epochs) for plan in plans] == [(3, 5), (2, STOP)]
    assert any(f"experts have {STOP} epochs, not 5" in e.text for e in seen if isinstance(e, Noted))
    # Their weights are those of whole experts, up to there.
    plain = make_config(experts={"count": 1, "epochs": 5})
    _, whole = finish(train_experts, plain, digits, tmp_path, cpu)
    assert whole.folder != experts.folder
    assert whole.epochs == 5
    assert torch.equal(whole.snapshot(0, STOP), experts.snapshot(0, STOP))


def test_the_decision_stays_and_a_set_grows_by_it(
    config: Config,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Another machine's arithmetic could decide otherwise for an expert that is trained again."""
    _, experts = finish(train_experts, config, digits, tmp_path, cpu)
    first = experts.path(0).read_bytes()
    experts.path(0).unlink()
    monkeypatch.setattr(EarlyStop, "is_enough", lambda *_: True)
    more = config.with_values({"experts": {"count": 4}}, "here")
    seen, grown = finish(train_experts, more, digits, tmp_path, cpu)
    assert (grown.folder, grown.epochs) == (experts.folder, STOP)
    assert grown.path(0).read_bytes() == first
    assert grown.ready(4) == [0, 1, 2, 3]
    assert epochs_of(seen, 3) == [1, 2, 3]
    again, _ = finish(train_experts, more, digits, tmp_path, cpu)
    assert [event.missing for event in again if isinstance(event, ExpertsPlanned)] == [0]


def test_a_first_expert_that_was_interrupted_decides_again(
    config: Config, digits: PreparedData, cpu: Runtime, tmp_path: Path
) -> None:
    asked = iter([False] * 2 + [True] * 9)
    with pytest.raises(Stopped):
        finish(
            train_experts, config, digits, tmp_path / "a", replace(cpu, stop=lambda: next(asked))
        )
    assert not [*(tmp_path / "a").rglob("*.safetensors")]
    _, resumed = finish(train_experts, config, digits, tmp_path / "a", cpu)
    _, whole = finish(train_experts, config, digits, tmp_path / "b", cpu)
    for expert in range(3):
        assert resumed.path(expert).read_bytes() == whole.path(expert).read_bytes()


def test_without_held_out_images_experts_train_all_their_epochs(
    config: Config, digits: PreparedData, cpu: Runtime, tmp_path: Path
) -> None:
    nothing = digits.validation.subset(torch.arange(0))
    _, experts = finish(train_experts, config, replace(digits, validation=nothing), tmp_path, cpu)
    assert experts.epochs == 5


def test_the_rule_is_part_of_what_experts_are_and_its_outcome_is_not(
    make_config: Make, digits: PreparedData
) -> None:
    def named(**over: dict[str, Any]) -> str:
        return fingerprint(expert_facts(make_config(**over), digits, "float32"))

    early = {"early_stop": True}
    assert named(experts=early) != named()
    assert named(experts=early) == named(
        experts={**early, "count": 7}, distill={"seed": 3, "ipc": 100}
    )
    assert named(experts=early) != named(experts=early, distill={"ipc": 101}), "a later window"
    assert early_stop(make_config(), digits) is None


def test_the_epoch_of_the_lowest_held_out_loss_is_a_mean_over_experts(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path
) -> None:
    config = make_config()
    _, experts = finish(train_experts, config, digits, tmp_path, cpu)
    network = expert_network(config, digits, 0, cpu)
    held_out = digits.validation
    losses = [
        sum(mean_loss(network, experts.snapshot(k, epoch), held_out) for k in range(2))
        for epoch in range(1, 5)
    ]
    found = lowest_held_out_epoch(experts, 2, network, held_out, cpu)
    assert found == 1 + losses.index(min(losses))


def test_experts_too_short_for_what_is_stated_are_refused(
    make_config: Make, digits: PreparedData, tmp_path: Path
) -> None:
    layout = expert_network(make_config(), digits, 0, Runtime(torch.device("cpu"))).layout
    short = ExpertSet(tmp_path, layout, epochs=2)
    with pytest.raises(ConfigError, match="and the window needs 3") as raised:
        check_epochs(make_config(), short)
    assert raised.value.fix == Setting("experts.early_stop", False)
    late = make_config(distill={"label_epoch": 4, "max_start_epoch": 2})
    with pytest.raises(ConfigError, match="labels are to come from epoch 4") as raised:
        check_epochs(late, short)
    assert raised.value.fix == Setting("distill.label_epoch", 2)


def _train_on_ranks(ranks: Ranks, folder: Path) -> None:
    """`STOP` epochs; the rule is never asked on a rank that does not train the first expert."""
    EarlyStop.is_enough = lambda _, loss, held_out: len(loss) - 1 == STOP  # type: ignore[method-assign]
    config = tiny_config(experts={"count": 3, "epochs": 5, "early_stop": True})
    runtime = Runtime(torch.device("cpu"), ranks=ranks)
    data = prepare(config.dataset, folder / "data", runtime, emit=ignore)
    experts = train_experts(config, data, folder / "experts", runtime, emit=ignore)
    assert experts.epochs == STOP
    assert experts.ready(3) == [0, 1, 2]


def test_ranks_wait_for_the_first_expert_and_agree(
    config: Config,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    data_dir: Path,
) -> None:
    (tmp_path / "data").symlink_to(data_dir)
    assert on_ranks(2, _train_on_ranks, tmp_path) == [0, 0]
    _, whole = finish(train_experts, config, digits, tmp_path / "one", cpu)
    for expert in range(3):
        theirs = tmp_path / "experts" / whole.folder.name / whole.path(expert).name
        assert theirs.read_bytes() == whole.path(expert).read_bytes()


def test_another_process_that_waits_for_the_first_expert_takes_its_epochs(
    config: Config,
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _, whole = finish(train_experts, config, digits, tmp_path / "whole", cpu)
    folder = tmp_path / "shared" / whole.folder.name
    folder.mkdir(parents=True)
    ours = ExpertSet(folder, whole.layout, 5, is_open=True)
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.01)

    def copied(_: float) -> None:
        """The other process ends while this one waits."""
        ours.path(0).write_bytes(whole.path(0).read_bytes())
        lock.close()

    monkeypatch.setattr(locks.time, "sleep", copied)
    with locks.lock_path(ours, 0).open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        seen, experts = finish(train_experts, config, digits, tmp_path / "shared", cpu)
    assert experts.epochs == STOP
    assert {e.expert for e in seen if isinstance(e, ExpertEpoch)} == {1, 2}
    for expert in range(3):
        assert experts.path(expert).read_bytes() == whole.path(expert).read_bytes()
