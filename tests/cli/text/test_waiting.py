"""A command that waits says so on a terminal, and only there."""

from __future__ import annotations

import os
import pty
import subprocess
import sys

from tests.conftest import ROOT

PROGRAM = """
import sys
from datm_cli.text.waiting import TorchImport
sys.meta_path.insert(0, TorchImport())
import torch
print(torch.ones(2).sum().item(), torch.__spec__.name)
"""


def test_importing_torch_is_said_on_a_terminal_alone() -> None:
    terminal, stderr = pty.openpty()
    words = [sys.executable, "-c", PROGRAM]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color"}
    shown = subprocess.run(
        words, stdout=subprocess.PIPE, stderr=stderr, text=True, env=env, check=True
    )
    assert "loading torch" in os.read(terminal, 65536).decode()
    piped = subprocess.run(words, capture_output=True, text=True, env=env, check=True)
    assert piped.stderr == ""
    assert shown.stdout == piped.stdout == "2.0 torch\n"
    for number in (terminal, stderr):
        os.close(number)
