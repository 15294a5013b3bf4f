"""The run directory: one writer, any reader, and what a cut-off write leaves."""

from __future__ import annotations

import dataclasses
import multiprocessing
import os
import platform
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from datm_engine.errors import ConfigError, RunError, Setting
from datm_engine.runs.directory import Run, free_name
from datm_engine.runs.events import CandidateScored, Noted, RunEnded
from datm_engine.runs.names import name_from
from datm_engine.runs.process import Process, heartbeat, is_fresh
from tests.runs.conftest import Make, matched, plain, started, write


def test_what_is_written_is_read(run: Run, make_config: Make) -> None:
    write(run, started(), Noted(text="hello"))
    assert plain(run.events()) == [started(), Noted(text="hello")]
    assert all(event.time > 1e9 for event in run.events())
    again = Run.open(run.path.parent, "one")
    assert again.config() == make_config()
    assert again.manifest().source == "tests"


def test_a_resumed_run_repeats_iterations(run: Run) -> None:
    scored = CandidateScored(iteration=3, part="validation", accuracy=50, images=10, best=True)
    write(run, started(), *(matched(i, 0.1 * i) for i in (1, 2, 3)), scored)
    write(run, started(resumed_at=2), matched(3, 9.0))
    state = run.state()
    assert [(e.iteration, e.loss) for e in state.matched] == [(1, 0.1), (2, 0.2), (3, 9.0)]
    assert not state.candidates


def test_a_write_cut_short_costs_only_its_line(run: Run) -> None:
    write(run, started(), Noted(text="whole"))
    with (run.path / "events.jsonl").open("ab") as file:
        file.write(b'{"event": "Noted", "text": "ha')
    write(run, Noted(text="next"))
    assert plain(run.events()) == [started(), Noted(text="whole"), Noted(text="next")]


def _hold(runs_dir: Path, held: Any, released: Any) -> None:
    with Run.open(runs_dir, "one").recording():
        held.set()
        released.wait(30)


def test_one_process_writes_at_a_time(run: Run) -> None:
    context = multiprocessing.get_context("spawn")
    held, released = context.Event(), context.Event()
    other = context.Process(target=_hold, args=(run.path.parent, held, released))
    other.start()
    try:
        assert held.wait(60)
        assert run.status() == "running"
        with pytest.raises(RunError, match="written by another process"), run.recording():
            pass
    finally:
        released.set()
        other.join()
    write(run, started())


def test_status(run: Run) -> None:
    assert run.status() == "new"
    for status in ("done", "stopped", "failed"):
        write(run, started(), RunEnded(status=status, iteration=1))
        assert run.status() == status
    write(run, started())
    assert run.status() == "crashed", "the latest start has no end"
    with run.recording():
        assert run.status() == "running"


def test_a_process_that_died_has_crashed_and_one_elsewhere_is_judged_by_its_heartbeat(
    run: Run,
) -> None:
    write(run, started())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    Process.of(gone.pid).write(run.process_file)
    gone.wait()
    assert run.status() == "crashed"
    reused = dataclasses.replace(Process.of(os.getpid()), started="another time")
    reused.write(run.process_file)
    assert run.status() == "crashed", "the number was given to another process"
    dataclasses.replace(reused, host="elsewhere").write(run.process_file)
    assert run.status() == "running"
    os.utime(run.process_file, (0, 0))
    assert run.status() == "stale"


def test_a_zombie_is_not_alive() -> None:
    child = subprocess.Popen([sys.executable, "-c", ""])
    stated = Process.of(child.pid)
    assert stated.is_alive
    deadline = time.monotonic() + 30
    while stated.is_alive and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not stated.is_alive, "it has ended, though nobody has waited for it"
    child.wait()


def test_a_heartbeat_shows_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datm_engine.runs.process.BEAT_SECONDS", 0.01)
    path = tmp_path / "process.json"
    assert not is_fresh(path)
    path.touch()
    os.utime(path, (0, 0))
    assert not is_fresh(path)
    with heartbeat(path):
        deadline = time.monotonic() + 30
        while not is_fresh(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert is_fresh(path)


def test_asking_to_stop_is_for_the_process_at_work(run: Run) -> None:
    run.stop_file.touch()
    with run.recording():
        assert not run.stop_file.exists(), "an older request is not for this process"


@pytest.mark.parametrize(
    "name", ["", "a/b", "..", ".hidden", "-x", "a ", "a.", "a\nb", "a:b", "nul", "a" * 101]
)
def test_names_that_are_no_folders(name: str, make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a folder's name"):
        Run.create(tmp_path, name, make_config(), {})


def test_free_name(tmp_path: Path) -> None:
    assert free_name(tmp_path, "a") == "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_name(tmp_path, "a") == "a-3"


def test_names_are_made_of_any_dataset(tmp_path: Path, make_config: Make) -> None:
    for stem in ("my photos (2)-ipc1", ".hidden-ipc1", "fünf/sechs-ipc1"):
        Run.create(tmp_path, free_name(tmp_path, name_from(stem)), make_config(), {})


def test_a_name_that_differs_in_letter_case_only_is_refused(
    tmp_path: Path, make_config: Make
) -> None:
    """Both could not be copied to a disk that does not distinguish them."""
    Run.create(tmp_path, "first", make_config(), {})
    with pytest.raises(RunError, match="first differs from the name First in letter") as raised:
        Run.create(tmp_path, "First", make_config(), {})
    assert raised.value.fix == Setting("name", "First-2")
    assert free_name(tmp_path, "FIRST") == "FIRST-2"


def test_a_run_is_found_however_its_letters_are_composed(tmp_path: Path, make_config: Make) -> None:
    composed, apart = "l\u00e4uft", "la\u0308uft"
    assert Run.create(tmp_path, apart, make_config(), {}).name == composed
    assert Run.open(tmp_path, apart).name == composed
    (tmp_path / composed).rename(tmp_path / apart)  # as some systems store it
    assert Run.open(tmp_path, composed).name == apart
    with pytest.raises(RunError, match="there is no run LÄUFT"):
        Run.open(tmp_path, "LÄUFT")


def test_a_run_of_the_longest_name_is_made(tmp_path: Path, make_config: Make) -> None:
    for name in ("a" * 100, "猫" * 85):
        assert Run.create(tmp_path, name, make_config(), {}).manifest().config
    assert len(list(tmp_path.iterdir())) == 2


def test_a_folder_that_is_no_run_is_reported(tmp_path: Path, make_config: Make) -> None:
    """Where nothing can be resumed, no message suggests it."""
    (tmp_path / "one").mkdir()
    with pytest.raises(RunError, match="exists and is not a run") as raised:
        Run.create(tmp_path, "one", make_config(), {})
    assert raised.value.fix == Setting("name", "one-2")


def test_a_run_is_there_whole_or_not_at_all(
    tmp_path: Path, make_config: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One that was killed while it was made is in nobody's way, and no other takes its name."""
    dead = 2**22 + 1
    half = tmp_path / f".one.{dead}@{platform.node()}.part"
    half.mkdir()
    (half / "run.json").write_text("{}")
    assert Run.all(tmp_path) == []

    def taken_meanwhile(path: Path, target: Path) -> Path:
        target.mkdir()
        (target / "run.json").touch()
        return os.rename(path, target)  # type: ignore[func-returns-value]

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", taken_meanwhile)
        with pytest.raises(RunError, match="exists already"):
            Run.create(tmp_path, "one", make_config(), {})
    assert [path.name for path in tmp_path.iterdir()] == ["one"], "no leftovers"
