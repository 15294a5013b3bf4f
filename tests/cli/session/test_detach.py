"""The engine's own environment, and asking it to stop."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from datm_cli.session import detach
from datm_engine.errors import FileError, RunError
from datm_engine.runs.directory import Run
from datm_engine.runs.process import Process
from tests.conftest import tiny_config


def test_options_of_the_environment_are_not_heeded_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are in the run already, where a flag may have overruled them."""
    for name in ("DATM_IPC", "DATM_PRESET", "DATM_ITERATIONS", "DATM_DEVICE"):
        monkeypatch.setenv(name, "1")
    monkeypatch.setenv("DATM_DEBUG", "1")
    monkeypatch.setenv("PYTHONPATH", "/elsewhere")
    given = detach._environment()
    assert [name for name in given if name.startswith("DATM_")] == ["DATM_DEBUG"]
    assert given["PYTHONPATH"].endswith(os.pathsep + "/elsewhere")


def test_the_monitor_takes_the_place_of_what_started_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    replaced: list[list[str]] = []
    ignored: list[object] = []
    monkeypatch.setattr("os.execve", lambda path, words, env: replaced.append(words))
    monkeypatch.setattr("signal.signal", lambda number, what: ignored.append(number))
    detach.become_monitor(Run(tmp_path / "a b"), ["--color", "16"])
    assert replaced[0][-4:] == ["monitor", str(tmp_path / "a b"), "--color", "16"]
    assert ignored, "ctrl+c before the screen is there may not leave a run that nobody mentions"
    text = capsys.readouterr().err
    assert f"datm monitor '{tmp_path}/a b'" in text
    assert "datm stop" in text


def test_nothing_to_stop(tmp_path: Path) -> None:
    (tmp_path / "r").mkdir()
    with pytest.raises(RunError, match="is not running: it is new"):
        detach.stop_engine(Run(tmp_path / "r"), 1.0, print)


def test_one_that_does_not_stop_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Run(tmp_path)
    Process.of(os.getpid()).write(run.process_file)
    monkeypatch.setattr("os.kill", lambda pid, number: None)
    with pytest.raises(RunError, match="has not stopped within"):
        detach.stop_engine(run, 0.0, lambda words: None)
    assert run.stop_file.exists()


def test_a_stop_is_kept_for_an_engine_that_is_still_starting(tmp_path: Path) -> None:
    run = Run.create(tmp_path, "r", tiny_config(), {})
    run.stop_file.touch()  # of a request to an earlier process
    with run.recording():
        assert not run.stop_file.exists()
    Process.of(os.getpid()).write(run.process_file)  # as `start_engine` does for its child
    run.stop_file.touch()
    with run.recording():
        assert run.stop_file.exists()


def test_an_engine_ignores_sigterm_until_it_listens(tmp_path: Path) -> None:
    run = Run(tmp_path)
    handled = signal.getsignal(signal.SIGTERM)
    detach.start_engine(run, ["--version"])
    engine = Process.read(run.process_file)
    assert engine is not None
    ignored = next(
        int(line.split()[1], 16)
        for line in Path(f"/proc/{engine.pid}/status").read_text().splitlines()
        if line.startswith("SigIgn:")
    )
    assert ignored >> (signal.SIGTERM - 1) & 1
    assert signal.getsignal(signal.SIGTERM) == handled
    os.waitpid(engine.pid, 0)


def test_where_nothing_can_be_written_it_is_reported(tmp_path: Path) -> None:
    run = Run(tmp_path / "no such folder")
    with pytest.raises(FileError, match="STOP cannot be written"):
        detach.ask_to_stop(run)
    with pytest.raises(FileError, match="cannot be written"):
        detach.start_engine(run, ["--version"])


def test_an_engine_is_stated_until_it_states_itself(tmp_path: Path) -> None:
    run = Run(tmp_path)
    detach.start_engine(run, ["--version"])
    stated = Process.read(run.process_file)
    assert stated is not None
    assert stated.pid != os.getpid()
    os.waitpid(stated.pid, 0)
    assert run.engine_log.read_text().startswith("datm ")
    assert run.status() == "crashed", "it ended before it took over"
