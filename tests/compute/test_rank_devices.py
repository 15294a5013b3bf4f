"""Which device, machine and share of the work each rank has."""

from __future__ import annotations

import platform
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from datm_engine.compute.ranks import ALONE, Ranks, _on_this_machine, join
from datm_engine.compute.runtime import start
from datm_engine.errors import ConfigError, Setting


def test_an_environment_that_lacks_something(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")
    monkeypatch.delenv("MASTER_ADDR", raising=False)
    monkeypatch.delenv("MASTER_PORT", raising=False)
    with pytest.raises(ConfigError, match="MASTER_ADDR, MASTER_PORT not stated"):
        join()
    monkeypatch.setenv("WORLD_SIZE", "1")
    assert join() is ALONE


def test_dealing_leaves_nothing_out() -> None:
    dealt = [Ranks(rank, 3).deal(range(7)) for rank in range(3)]
    assert dealt == [[0, 3, 6], [1, 4], [2, 5]]
    assert Ranks(2, 3).deal([1]) == []


@pytest.mark.parametrize(
    ("ours", "expected"),
    [
        ({}, [[0, 2], [1, 2]]),
        ({"SLURM_LOCALID": "5"}, [[5, 2], [5, 2]]),
        ({"SLURM_LOCALID": "5", "LOCAL_RANK": "3"}, [[3, 2], [3, 2]]),
        ({"LOCAL_WORLD_SIZE": "4"}, [[0, 4], [1, 4]]),
    ],
    ids=["by hosts", "by SLURM", "by torchrun", "torchrun's count"],
)
def test_a_ranks_number_on_its_machine(
    ours: dict[str, str], expected: list[list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in ours.items():
        monkeypatch.setenv(name, value)
    hosts = ["a", "a", "b"]
    assert [list(_on_this_machine(rank, hosts)) for rank in range(2)] == expected


def test_a_rank_that_is_alone_on_its_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "LOCAL_WORLD_SIZE", "SLURM_LOCALID"):
        monkeypatch.delenv(name, raising=False)
    assert _on_this_machine(2, ["a", "a", "b"]) == (0, 1)


@dataclass(frozen=True)
class Gathering(Ranks):
    """A rank that knows what the others gather."""

    others: tuple[Any, ...] = ()

    def gather(self, value: Any) -> list[Any]:
        if isinstance(value[1], set):  # the cores that a rank may use, which all share here
            return [value] * self.count
        return [*self.others[: self.rank], value, *self.others[self.rank :]]


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[torch.device]]:
    """This process sees GPUs of these uuids, on a host named node1; the devices that were set."""

    def make(*uuids: str) -> list[torch.device]:
        chosen: list[torch.device] = []
        monkeypatch.setattr("platform.node", lambda: "node1")
        for name, value in {
            "is_available": lambda: True,
            "device_count": lambda: len(uuids),
            "get_device_properties": lambda on: SimpleNamespace(uuid=uuids[on.index]),
            "set_device": chosen.append,
            "get_device_capability": lambda on: (9, 0),
            "mem_get_info": lambda on: (10**9, 10**9),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        return chosen

    return make


def test_each_rank_takes_the_gpu_of_its_number(
    gpus: Callable[..., list[torch.device]],
) -> None:
    chosen = gpus("GPU-a", "GPU-b")
    others = (("node1", "cuda", "GPU-a"),)
    on = start("cuda", "float32", ranks=Gathering(1, 2, 1, 2, others=others))
    assert on.device == torch.device("cuda:1")
    assert chosen == [on.device]


def test_one_visible_gpu_a_task_is_each_ranks_own(
    gpus: Callable[..., list[torch.device]],
) -> None:
    """As SLURM's --gpus-per-task=1 has it."""
    gpus("GPU-d")
    others = tuple(("node1", "cuda", f"GPU-{name}") for name in "abc")
    on = start("cuda", "float32", ranks=Gathering(3, 4, 3, 4, others=others))
    assert on.device == torch.device("cuda:0")


def test_the_same_uuid_on_another_host_is_another_gpu(
    gpus: Callable[..., list[torch.device]],
) -> None:
    gpus("GPU-a")
    others = (("node2", "cuda", "GPU-a"),)
    assert start("cuda", "float32", ranks=Gathering(1, 2, 0, 1, others=others)).device.index == 0


def test_two_ranks_of_one_gpu_are_refused(gpus: Callable[..., list[torch.device]]) -> None:
    chosen = gpus("GPU-a", "GPU-b")
    others = (("node1", "cuda", "GPU-a"), ("node1", "cuda", "GPU-b"))
    with pytest.raises(ConfigError) as raised:
        start("cuda", ranks=Gathering(2, 3, 2, 3, others=others))
    assert raised.value.message.startswith("ranks 0 and 2 have the same GPU (GPU-a of node1)")
    assert raised.value.fix == Setting("device", "cpu")
    assert not chosen


def test_ranks_on_different_kinds_of_devices_are_refused(
    gpus: Callable[..., list[torch.device]],
) -> None:
    gpus("GPU-a")
    with pytest.raises(ConfigError, match=r"rank 0 computes on cpu \(node2\), rank 1 on cuda"):
        start("auto", ranks=Gathering(1, 2, 0, 1, others=(("node2", "cpu", ""),)))


def test_ranks_share_a_machine() -> None:
    pair = Gathering(1, 2, 1, 2, others=((platform.node(), "cpu", ""),))
    on = start("cpu", ranks=pair)
    assert on.description.startswith("2 ranks on cpu (1 thread each)")
    assert on.memory == pytest.approx(start("cpu").memory / 2, rel=0.3)
    with pytest.raises(ConfigError, match="not one of"):
        start("cpu:x", ranks=pair)
