"""What a run leaves where something fails: the reason, a command, and nothing half written."""

from __future__ import annotations

import errno
import platform
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from datm_engine.errors import DatmError, FileError, RunError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.directory import Run, free_name
from datm_engine.runs.events import Event, Noted, RunEnded
from tests.runs.conftest import Make, matched, plain, started, write


def fail(run: Run, problem: Exception) -> None:
    """A stage that raises `problem` in its 7th iteration."""
    with run.recording() as record, record.recorded(print) as emit:
        emit(matched(7, 0.5))
        raise problem


def test_a_failing_stage_is_recorded_with_why(run: Run) -> None:
    with pytest.raises(DatmError):
        fail(run, DatmError("no more paint", "buy paint"))
    ended = run.events()[-1]
    assert isinstance(ended, RunEnded)
    assert (ended.status, ended.iteration) == ("failed", 7)
    assert (ended.message, ended.hint) == ("no more paint", "buy paint")


def test_a_hint_that_changes_something_is_made_whole(run: Run) -> None:
    run.update(run.config(), options={"data_dir": "/my data", "device": "cpu"})
    with pytest.raises(DatmError) as raised:
        fail(run, DatmError("too many", Setting("ipc", 3)))
    config = f"--config {run.path / 'run.json'} --runs-dir {run.path.parent}"
    expected = f"datm distill {config} --data-dir '/my data' --device cpu --ipc 3"
    assert raised.value.command == run.events()[-1].hint == expected  # type: ignore[attr-defined]


def test_a_fault_is_recorded_with_a_command_too(run: Run) -> None:
    with pytest.raises(ZeroDivisionError):
        fail(run, ZeroDivisionError("by nothing"))
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
    history: list[Event] = []

    def log() -> None:
        with run.recording() as record:
            with pytest.raises(OSError, match="No space left"):
                filler.write_bytes(bytes(100_000))
            while len(history) < 1000:
                history.append(record.write(Noted(text="x" * 100)))

    with pytest.raises(FileError, match=r"events.jsonl cannot be written: No space") as raised:
        log()
    assert fix_text(raised.value.fix) == f"df -h {run.path}"
    assert run.events() == history, "what was history whole, and no half a line"
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


def test_a_run_on_a_disk_that_is_read_only_is_reported(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr("fcntl.flock", refuse)
    with pytest.raises(FileError, match="cannot be written: Read-only file system") as raised:
        run.recording().__enter__()
    assert fix_text(raised.value.fix) == f"df -h {run.path}"


def test_a_run_that_failed_before_a_checkpoint_is_replaced(run: Run, make_config: Make) -> None:
    write(run, started(), RunEnded(status="failed", iteration=0))
    assert free_name(run.path.parent, "one") == "one"
    again = Run.create(run.path.parent, "one", make_config(), {"source": "another"})
    assert (again.status(), again.manifest().source) == ("new", "another")
    write(run, started(), RunEnded(status="failed", iteration=3))
    run.checkpoint.touch()
    assert free_name(run.path.parent, "one") == "one-2", "this one has learned something"
    with pytest.raises(RunError, match="exists already"):
        Run.create(run.path.parent, "one", make_config(), {})


def test_leftovers_of_a_killed_writer_are_removed(run: Run) -> None:
    dead = f"{2**22 + 1}@{platform.node()}.part"
    for folder in (run.path, run.samples):
        unfinished = folder / f".checkpoint.safetensors.{dead}"
        unfinished.mkdir()
        (unfinished / ".tmp0l6ERU").touch()  # safetensors writes to a file of its own first
    write(run, started())
    assert not list(run.path.rglob(".*.part"))


def test_a_damaged_manifest(run: Run) -> None:
    (run.path / "run.json").write_text('{"config": ')
    with pytest.raises(RunError, match="is damaged"):
        run.manifest()
    (run.path / "run.json").write_text("[]")
    with pytest.raises(RunError, match="JSON object"):
        run.manifest()
