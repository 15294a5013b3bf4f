"""The run directory: one writer, any reader, and what a cut-off write leaves."""

from __future__ import annotations

import dataclasses
import errno
import multiprocessing
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from datm_engine.config import Config
from datm_engine.errors import ConfigError, DatmError, FileError, RunError
from datm_engine.events import CandidateScored, Event, Matched, Noted, RunEnded, RunStarted
from datm_engine.process import Process, beating, shows_life
from datm_engine.runs import Run, free_name

Make = Callable[..., Config]


@pytest.fixture
def run(make_config: Make, tmp_path: Path) -> Run:
    return Run.create(tmp_path, "one", make_config(), {"seed": 0})


def started(resumed_at: int = 0) -> RunStarted:
    return RunStarted(
        run="one", command="distill", device="cpu", version="0", seed=0, resumed_at=resumed_at
    )


def matched(iteration: int, loss: float) -> Matched:
    return Matched(
        iteration=iteration,
        iterations=9,
        loss=loss,
        expert=0,
        start_epoch=0,
        target_epoch=1,
        lower=0,
        upper=1,
        final_upper=1,
        syn_lr=0.1,
        refused="",
        skipped=0,
        seconds=0.1,
    )


def write(run: Run, *events: Event) -> None:
    with run.recording() as record:
        for event in events:
            record.write(event)


def plain(events: list[Event]) -> list[Event]:
    return [dataclasses.replace(event, time=0.0) for event in events]


def test_what_is_written_is_read(run: Run, make_config: Make) -> None:
    write(run, started(), Noted(text="hello"))
    assert plain(run.events()) == [started(), Noted(text="hello")]
    assert all(event.time > 1e9 for event in run.events())
    again = Run.open(run.path.parent, "one")
    assert again.config() == make_config()
    assert again.facts()["seed"] == 0


def test_a_resumed_run_tells_iterations_anew(run: Run) -> None:
    scored = CandidateScored(iteration=3, part="validation", accuracy=50, images=10, best=True)
    write(run, started(), *(matched(i, 0.1 * i) for i in (1, 2, 3)), scored)
    write(run, started(resumed_at=2), matched(3, 9.0))
    told = [(e.iteration, e.loss) for e in run.events() if isinstance(e, Matched)]
    assert told == [(1, 0.1), (2, 0.2), (3, 9.0)]
    assert not [e for e in run.events() if isinstance(e, CandidateScored)]


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
    monkeypatch.setattr("datm_engine.process.BEAT_SECONDS", 0.01)
    path = tmp_path / "process.json"
    assert not shows_life(path)
    path.touch()
    os.utime(path, (0, 0))
    assert not shows_life(path)
    with beating(path):
        deadline = time.monotonic() + 30
        while not shows_life(path) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert shows_life(path)


def test_asking_to_stop_is_for_the_process_at_work(run: Run) -> None:
    run.stop_file.touch()
    with run.recording():
        assert not run.stop_file.exists(), "an older request is not for this process"


def test_a_failing_stage_is_recorded_with_why(run: Run) -> None:
    def stage() -> Generator[Event, None, None]:
        yield matched(7, 0.5)
        raise DatmError("no more paint", "buy paint")

    with run.recording() as record, pytest.raises(DatmError):
        list(record.follow(stage()))
    ended = run.events()[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.status, ended.iteration) == ("failed", 7)
    assert (ended.message, ended.hint) == ("no more paint", "buy paint")


def test_a_hint_that_changes_something_is_made_whole(run: Run) -> None:
    def stage() -> Generator[Event, None, None]:
        yield matched(7, 0.5)
        raise DatmError("too many", "--ipc 3")

    run.restate(run.config(), places={"data_dir": "/my data", "device": "cpu"})
    with run.recording() as record, pytest.raises(DatmError) as raised:
        list(record.follow(stage()))
    config = f"--config {run.path / 'run.json'} --runs-dir {run.path.parent}"
    expected = f"datm distill {config} --data-dir '/my data' --device cpu --ipc 3"
    assert raised.value.hint == run.events()[-1].hint == expected  # type: ignore[attr-defined]


def test_a_fault_is_recorded_with_a_command_too(run: Run) -> None:
    def stage() -> Generator[Event, None, None]:
        yield matched(7, 0.5)
        raise ZeroDivisionError("by nothing")

    with run.recording() as record, pytest.raises(ZeroDivisionError):
        list(record.follow(stage()))
    ended = run.events()[-1]
    assert isinstance(ended, RunEnded)
    assert ended.message == "ZeroDivisionError: by nothing"
    assert ended.hint.startswith(f"datm distill --resume {run.path}")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of its own, of 64 kB."""
    place = tmp_path / "disk"
    place.mkdir()
    words = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(words, capture_output=True).returncode:
        pytest.skip("this user may not mount a disk")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_a_full_disk_while_events_are_written(small_disk: Path, make_config: Make) -> None:
    run = Run.create(small_disk, "one", make_config(), {})
    filler = small_disk / "filler"
    told: list[Event] = []

    def tell() -> None:
        with run.recording() as record:
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(bytes(100_000))
            while len(told) < 1000:
                told.append(record.write(Noted(text="x" * 100)))

    with pytest.raises(FileError, match=r"events.jsonl cannot be written: No space") as raised:
        tell()
    assert raised.value.hint == f"df -h {run.path}"
    assert run.events() == told, "what was told whole, and no half a line"
    filler.unlink()
    write(run, Noted(text="next"))
    assert plain(run.events()[-1:]) == [Noted(text="next")]


def test_a_run_for_which_there_is_no_room_leaves_nothing(
    make_config: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(FileError, match="No space left"):
        Run.create(tmp_path, "one", make_config(), {})
    assert not list(tmp_path.iterdir())


def test_a_run_on_a_disk_that_is_read_only_is_told(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(FileError, match="cannot be written: Read-only file system") as raised:
        run.recording().__enter__()
    assert raised.value.hint == f"df -h {run.path}"


def test_a_run_that_failed_in_vain_gives_its_place(run: Run, make_config: Make) -> None:
    write(run, started(), RunEnded(status="failed", iteration=0))
    assert free_name(run.path.parent, "one") == "one"
    again = Run.create(run.path.parent, "one", make_config(), {"seed": 1})
    assert (again.status(), again.facts()["seed"]) == ("new", 1)
    write(run, started(), RunEnded(status="failed", iteration=3))
    run.checkpoint.touch()
    assert free_name(run.path.parent, "one") == "one-2", "this one has learned something"
    with pytest.raises(RunError, match="exists already"):
        Run.create(run.path.parent, "one", make_config(), {})


def test_leftovers_of_a_killed_writer_are_removed(run: Run) -> None:
    dead = f"{2**22 + 1}@{platform.node()}.part"
    for folder in (run.path, run.samples):
        (folder / f".checkpoint.safetensors.{dead}").touch()
    write(run, started())
    assert not list(run.path.rglob(".*.part"))


@pytest.mark.parametrize("name", ["", "a/b", "..", ".hidden", "a b", "a\nb", "a" * 300])
def test_names_that_are_no_folders(name: str, make_config: Make, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be a folder's name"):
        Run.create(tmp_path, name, make_config(), {})


def test_damaged_facts(run: Run) -> None:
    (run.path / "run.json").write_text('{"config": ')
    with pytest.raises(RunError, match="is damaged"):
        run.facts()
    (run.path / "run.json").write_text("[]")
    with pytest.raises(RunError, match="states no configuration"):
        run.facts()


def test_free_name(tmp_path: Path) -> None:
    assert free_name(tmp_path, "a") == "a"
    (tmp_path / "a").mkdir()
    (tmp_path / "a-2").mkdir()
    assert free_name(tmp_path, "a") == "a-3"


def test_names_are_made_of_any_dataset(tmp_path: Path, make_config: Make) -> None:
    for stem in ("my photos (2)-ipc1", ".hidden-ipc1", "fünf/sechs-ipc1"):
        Run.create(tmp_path, free_name(tmp_path, stem), make_config(), {})


def test_a_folder_that_is_no_run_is_told(tmp_path: Path, make_config: Make) -> None:
    """Where nothing could be gone on with, nothing says so."""
    (tmp_path / "one").mkdir()
    with pytest.raises(RunError, match="is there already, and is no run") as raised:
        Run.create(tmp_path, "one", make_config(), {})
    assert raised.value.hint == "--name one-2"


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
