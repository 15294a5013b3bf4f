"""The segment of the next iteration is read ahead, in the host's memory; a read that fails is
repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.distillation.segment_reader import Segment, Segments
from datm_engine.distillation.window import Window
from datm_engine.errors import FileError
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import Layout
from datm_engine.settings.config import Config

Make = Callable[..., Segments]


@pytest.fixture
def experts(tmp_path: Path) -> ExpertSet:
    made = ExpertSet(tmp_path, Layout(("weight",), ((3,),)), 4)
    for expert in range(2):
        made.save(expert, torch.arange(15.0).reshape(5, 3) + 100 * expert, {})
    return made


@pytest.fixture
def make(experts: ExpertSet, make_config: Callable[..., Config]) -> Make:
    def segments(device: str = "cpu") -> Segments:
        return Segments(make_config(), Window(0, 2, 3, 4), experts, Runtime(torch.device(device)))

    return segments


def assert_same(one: Segment, other: Segment) -> None:
    assert (one.expert, one.start_epoch) == (other.expert, other.start_epoch)
    assert torch.equal(one.start, other.start)
    assert torch.equal(one.target, other.target)


def fails_once(monkeypatch: pytest.MonkeyPatch, problem: Exception, call: int) -> list[int]:
    """Reading raises `problem` at that call; the list of calls so far."""
    plainly, calls = ExpertSet.segment, list[int]()

    def read(experts: ExpertSet, *given: int) -> tuple[Tensor, Tensor]:
        calls.append(len(calls) + 1)
        if len(calls) == call:
            raise problem
        return plainly(experts, *given)

    monkeypatch.setattr(ExpertSet, "segment", read)
    return calls


def waited(segments: Segments) -> None:
    """Until the read ahead has ended."""
    assert segments._next is not None
    segments._next[1].exception()


def fresh(make: Make, iteration: int) -> Segment:
    """The segment of an iteration, nothing having been read ahead."""
    segments = make()
    segment = segments(iteration)
    waited(segments)
    return segment


@pytest.mark.parametrize(
    "problem", [MemoryError(), RuntimeError("CUDA error: out of memory"), FileError("x", "ls")]
)
def test_a_read_ahead_that_failed_is_repeated(
    problem: Exception, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = [fresh(make, iteration) for iteration in range(3)]
    calls, segments = fails_once(monkeypatch, problem, call=2), make()
    for iteration in range(3):
        assert_same(segments(iteration), expected[iteration])
        waited(segments)
    assert len(calls) == 5, "one for each iteration, one ahead, and the one repeated"


def test_what_stays_wrong_is_raised_and_not_kept(make: Make, experts: ExpertSet) -> None:
    segments = make()
    segments(0)
    waited(segments)
    whole = [experts.path(expert).read_bytes() for expert in range(2)]
    for expert in range(2):
        experts.path(expert).write_bytes(b"")
    segments(1)
    waited(segments)
    for _ in range(2):
        with pytest.raises(FileError, match="is damaged"):
            segments(2)
    for expert in range(2):
        experts.path(expert).write_bytes(whole[expert])
    assert_same(segments(2), make()(2))


def test_a_device_that_is_full_is_asked_again(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    expected, segments = fresh(make, 1), make()
    segments(0)
    waited(segments)
    place, calls = Runtime.place, list[int]()

    def full_once(on: Runtime, tensor: Tensor) -> Tensor:
        calls.append(1)
        if len(calls) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return place(on, tensor)

    monkeypatch.setattr(Runtime, "place", full_once)
    with pytest.raises(torch.OutOfMemoryError):
        segments(1)
    assert_same(segments(1), expected)


def test_what_is_read_ahead_stays_on_the_host(make: Make) -> None:
    segments = make("meta")
    assert segments(0).start.device.type == "meta"
    assert segments._next is not None
    ahead = segments._next[1].result()
    assert {ahead.start.device.type, ahead.target.device.type} == {"cpu"}
    assert segments(1).target.device.type == "meta"


def test_what_is_read_ahead_for_a_gpu_is_pinned(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    pinned: list[Tensor] = []

    def pin(tensor: Tensor) -> Tensor:
        pinned.append(tensor)
        return tensor

    monkeypatch.setattr(Tensor, "pin_memory", pin)
    monkeypatch.setattr(Runtime, "place", lambda on, tensor: tensor)
    expected, segments = [fresh(make, iteration) for iteration in range(2)], make("cuda")
    assert_same(segments(0), expected[0])
    waited(segments)
    assert len(pinned) == 2
    assert_same(segments(1), expected[1])
