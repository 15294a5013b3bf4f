"""Processes that need the same experts share the training of them."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Queue
from threading import Semaphore, Thread
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import Runtime, never
from datm_engine.data.prepared import PreparedData, prepare
from datm_engine.errors import FileError, Stopped
from datm_engine.experts import locks
from datm_engine.experts.train import train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.runs.events import Event, ExpertEpoch, ExpertTrained, Noted, ignore
from datm_engine.settings.config import Config
from tests.conftest import ROOT, finish, tiny_config

Make = Callable[..., Config]
HOLDER = """
import fcntl, sys, time
lock = open(sys.argv[1], "a+b")
fcntl.flock(lock, fcntl.LOCK_EX)
print("locked", flush=True)
time.sleep(600)
"""


@pytest.fixture
def config(make_config: Make) -> Config:
    return make_config(experts={"count": 3})


@pytest.fixture
def whole(config: Config, digits: PreparedData, cpu: Runtime, tmp_path: Path) -> ExpertSet:
    """The set as one process makes it."""
    made: ExpertSet = finish(train_experts, config, digits, tmp_path / "whole", cpu)[1]
    return made


@pytest.fixture
def empty(whole: ExpertSet, tmp_path: Path) -> ExpertSet:
    """The same set, with no expert yet."""
    folder = tmp_path / "shared" / whole.folder.name
    folder.mkdir(parents=True)
    return ExpertSet(folder, whole.layout, whole.epochs)


@contextmanager
def locked(experts: ExpertSet, expert: int) -> Iterator[None]:
    """As another process locks an expert."""
    with locks.lock_path(experts, expert).open("a+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(b"process 4711 on node9")
        lock.flush()
        yield


def training(
    config: Config, digits: PreparedData, experts: ExpertSet, stop: Callable[[], bool] = never
) -> Iterator[Event]:
    """Train in a thread, which after each event waits until the next one is asked for."""
    events, goes_on = Queue[Any](), Semaphore(0)

    def emit(event: Event) -> None:
        events.put(event)
        goes_on.acquire()

    def work() -> None:
        try:
            on = Runtime(torch.device("cpu"), stop=stop)
            events.put(train_experts(config, digits, experts.folder.parent, on, emit=emit))
        except Exception as problem:
            events.put(problem)

    Thread(target=work, daemon=True).start()
    while isinstance(event := events.get(), Event):
        yield event
        goes_on.release()
    if isinstance(event, Exception):
        raise event


def collect(stage: Iterator[Event], seen: list[Event]) -> None:
    for event in stage:
        seen.append(event)


def epochs_of(seen: list[Event]) -> set[int]:
    return {event.expert for event in seen if isinstance(event, ExpertEpoch)}


def waits(seen: list[Event]) -> list[str]:
    return [e.text for e in seen if isinstance(e, Noted) and e.text.startswith("waiting for")]


def assert_same_files(experts: ExpertSet, whole: ExpertSet) -> None:
    for expert in range(3):
        assert experts.path(expert).read_bytes() == whole.path(expert).read_bytes()
    assert not [*experts.folder.glob("*.lock")], "no lock is left of an expert that is there"


def test_an_expert_that_another_process_trains_is_left_to_it(
    config: Config, digits: PreparedData, whole: ExpertSet, empty: ExpertSet
) -> None:
    """This one takes the others first, waits, and says for what and for whom."""
    with locked(empty, 1):
        stage, seen = training(config, digits, empty), list[Event]()
        while not waits(seen):
            seen.append(next(stage))
        assert epochs_of(seen) == {0, 2}
        assert waits(seen) == [
            "waiting for expert 2 of 3, which another process trains (process 4711 on node9)"
        ]
        empty.path(1).write_bytes(whole.path(1).read_bytes())
    locks.lock_path(empty, 1).unlink()
    rest = list(stage)
    assert empty.ready(3) == [0, 1, 2]
    assert epochs_of(rest) == set(), "it is not trained twice"
    (trained,) = (event for event in rest if isinstance(event, ExpertTrained))
    mine = list(training(config, digits, empty))
    assert trained.expert == 1
    assert trained.train_accuracy > 0
    assert not epochs_of(mine)
    assert_same_files(empty, whole)


def test_an_expert_whose_process_was_killed_is_taken_over(
    config: Config, digits: PreparedData, whole: ExpertSet, empty: ExpertSet
) -> None:
    command = [sys.executable, "-c", HOLDER, str(locks.lock_path(empty, 0))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "locked\n"
        stage, seen = training(config, digits, empty), list[Event]()
        while not waits(seen):
            seen.append(next(stage))
        assert epochs_of(seen) == {1, 2}
        holder.kill()
    rest = list(stage)
    assert epochs_of(rest) == {0}
    assert_same_files(empty, whole)


def test_one_that_is_stopped_leaves_its_expert_to_others(
    config: Config, digits: PreparedData, whole: ExpertSet, empty: ExpertSet
) -> None:
    stopping = training(config, digits, empty, stop=lambda: stopped)
    stopped, seen = False, list[Event]()
    while not epochs_of(seen):
        seen.append(next(stopping))
    other, waiting = training(config, digits, empty), list[Event]()
    while not waits(waiting):
        waiting.append(next(other))
    assert epochs_of(waiting) == {1, 2}
    stopped = True
    with pytest.raises(Stopped):
        list(stopping)
    rest = list(other)
    assert epochs_of(rest) == {0}
    assert_same_files(empty, whole)


def test_waiting_can_be_stopped(config: Config, digits: PreparedData, empty: ExpertSet) -> None:
    seen: list[Event] = []
    stage = training(config, digits, empty, stop=lambda: bool(waits(seen)))
    with locked(empty, 0), locked(empty, 2), pytest.raises(Stopped):
        collect(stage, seen)
    assert epochs_of(seen) == {1}
    assert empty.present(3) == [1]


def test_waiting_is_noted_again_and_again(
    config: Config, digits: PreparedData, empty: ExpertSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "NOTE_SECONDS", 0.01)
    monkeypatch.setattr(locks, "POLL_SECONDS", 0.02)
    seen: list[Event] = []
    stage = training(config, digits, empty, stop=lambda: len(waits(seen)) == 3)
    with locked(empty, 0), locked(empty, 2), pytest.raises(Stopped):
        collect(stage, seen)
    assert waits(seen)[0].startswith("waiting for experts 1, 3 of 3, which another process trains")
    assert waits(seen)[2].endswith(" minutes so far")


def test_an_expert_that_another_process_saved_damaged_is_named(
    config: Config, digits: PreparedData, empty: ExpertSet
) -> None:
    stage, seen = training(config, digits, empty), list[Event]()
    with locked(empty, 1):
        while not waits(seen):
            seen.append(next(stage))
        empty.path(1).write_bytes(b"")
    with pytest.raises(FileError, match="is damaged"):
        list(stage)


def test_an_expert_saved_between_the_look_and_the_lock_is_not_trained(
    config: Config, empty: ExpertSet, whole: ExpertSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    plainly = fcntl.flock

    def late(*given: Any) -> None:
        empty.path(0).write_bytes(whole.path(0).read_bytes())
        plainly(*given)

    monkeypatch.setattr("fcntl.flock", late)
    with locks.claim_next(empty, [0], 3, lambda: None, emit=ignore) as claim:
        assert claim.is_trained


def trains(folder: Path, data: Path, name: str) -> None:
    """In a process of its own: train as soon as `go` is there, and write down what was trained."""
    torch.set_num_threads(1)
    config, on = tiny_config(experts={"count": 8, "epochs": 12}), Runtime(torch.device("cpu"))
    digits = prepare(config.dataset, data, on, emit=ignore)
    (folder / f"{name}.there").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    seen: list[Event] = []

    def emit(event: Event) -> None:
        seen.append(event)
        if isinstance(event, ExpertEpoch):
            (folder / f"{name}.at").write_text(str(event.expert))
            time.sleep(0.02)

    train_experts(config, digits, folder / "experts", on, emit=emit)
    result = {"trained": sorted(epochs_of(seen)), "waits": waits(seen)}
    (folder / f"{name}.json").write_text(json.dumps(result))


def process(folder: Path, data: Path, name: str) -> subprocess.Popen[bytes]:
    """One that trains, as soon as `go` is there."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    code = "import sys; from pathlib import Path; from tests.experts.test_sharing import trains; "
    code += "trains(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])"
    words = [sys.executable, "-c", code, str(folder), str(data), name]
    return subprocess.Popen(words, cwd=ROOT, env=environment)


@contextmanager
def two_processes(folder: Path, data: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Both training, from the same moment on."""
    processes = [process(folder, data, name) for name in ("a", "b")]
    try:
        while not all((folder / f"{name}.there").exists() for name in ("a", "b")):
            assert all(one.poll() is None for one in processes)
            time.sleep(0.05)
        (folder / "go").touch()
        yield processes
    finally:
        for one in processes:
            one.kill()
            one.wait()


@pytest.mark.slow
def test_two_processes_train_each_expert_once(
    tmp_path: Path, data_dir: Path, digits: PreparedData, cpu: Runtime
) -> None:
    with two_processes(tmp_path, data_dir) as processes:
        assert [process.wait(300) for process in processes] == [0, 0]
    trained = [json.loads((tmp_path / f"{name}.json").read_text())["trained"] for name in "ab"]
    assert sorted(trained[0] + trained[1]) == list(range(8)), "none twice"
    assert all(trained), "both took part"
    config = tiny_config(experts={"count": 8, "epochs": 12})
    _, alone = finish(train_experts, config, digits, tmp_path / "alone", cpu)
    for expert in range(8):
        shared = tmp_path / "experts" / alone.folder.name / alone.path(expert).name
        assert shared.read_bytes() == alone.path(expert).read_bytes()


@pytest.mark.slow
def test_the_experts_of_a_killed_process_are_trained_by_those_that_go_on(
    tmp_path: Path, data_dir: Path
) -> None:
    """By the other one, and by the one that is started again."""
    with two_processes(tmp_path, data_dir) as processes:
        while not (tmp_path / "a.at").exists():
            time.sleep(0.01)
        processes[0].send_signal(signal.SIGKILL)
        processes[0].wait()
        (folder,) = (tmp_path / "experts").iterdir()
        saved = {int(path.stem[-4:]) for path in folder.glob("expert-*.safetensors")}
        processes.append(process(tmp_path, data_dir, "again"))
        assert [one.wait(300) for one in processes[1:]] == [0, 0]
    result = [json.loads((tmp_path / f"{name}.json").read_text()) for name in ("b", "again")]
    trained = [expert for one in result for expert in one["trained"]]
    assert len(trained) == len(set(trained)), "none twice"
    assert {*trained, *saved} == {*range(8)}
    assert len([*folder.glob("expert-*.safetensors")]) == 8
    assert not [*folder.glob("*.lock")]
