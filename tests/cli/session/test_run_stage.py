"""Signals: what ends a stage, what saves it, and one that reacts to nothing any more."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from datm_cli.session.run_stage import StopRequest
from datm_cli.session.watchdog import ended_if_stuck
from tests.conftest import ROOT


def test_usr1_asks_for_a_checkpoint_once_and_ends_nothing(
    capfd: pytest.CaptureFixture[str],
) -> None:
    with StopRequest().listening() as stop:
        assert not stop.save_now()
        os.kill(os.getpid(), signal.SIGUSR1)
        assert not stop()
        assert stop.save_now()
        assert not stop.save_now()
    assert stop.exit_code == 0
    assert capfd.readouterr().err == "\na checkpoint is written after this step\n"


STUCK = """
import os, signal, sys, time
from pathlib import Path
from datm_cli.session.watchdog import ended_if_stuck

signal.signal(signal.SIGTERM, lambda number, frame: None)
with ended_if_stuck(lambda: print("stuck", flush=True), Path(sys.argv[1]), 0.1):
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(float(sys.argv[2]))
print("ended by itself")
"""


@pytest.mark.parametrize(
    ("asked_by_file", "seconds", "code", "said"),
    [
        (False, "60", 143, "stuck"),
        (True, "1", 0, "ended by itself"),
        (False, "0", 0, "ended by itself"),
    ],
    ids=["stuck", "has time", "in time"],
)
def test_a_rank_that_does_not_end_says_so(
    asked_by_file: bool, seconds: str, code: int, said: str, tmp_path: Path
) -> None:
    if asked_by_file:
        (tmp_path / "STOP").touch()
    command = [sys.executable, "-c", STUCK, str(tmp_path / "STOP"), seconds]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert (ended.returncode, ended.stdout.strip()) == (code, said), ended.stderr


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    began = time.monotonic()
    with ended_if_stuck(lambda: None, tmp_path / "STOP"):
        pass
    assert time.monotonic() - began < 5
    assert signal.set_wakeup_fd(-1) == -1
