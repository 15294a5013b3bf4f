"""On a terminal, `datm distill` comes to its screen without torch in its process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import image_folder
from tests.conftest import ROOT

# The last step before the first frame is exec into `datm monitor`, which the next test imports.
PROGRAM = """
import json, sys
from datm_cli.session import detach
from datm_cli.text import terminal
terminal.is_interactive = lambda *_: True
def become_monitor(run, arguments):
    heavy = [name for name in sys.modules if name.split(".")[0] in ("torch", "torchvision")]
    print(json.dumps([run.name, started, heavy]))
    raise SystemExit
started = []
detach.start_engine = lambda run, arguments: started.extend(arguments)
detach.become_monitor = become_monitor
from datm_cli.main import main
main()
"""


def screened(folder: Path, *words: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, "distill", "--yes", *map(str, words)],
        capture_output=True,
        text=True,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )


@pytest.mark.parametrize("dataset", ["digits", "cifar10", "folder"])
def test_a_new_run_and_one_that_resumes_load_no_torch(dataset: str, tmp_path: Path) -> None:
    name = str(image_folder(tmp_path / "images")) if dataset == "folder" else dataset
    words = ["--dataset", name, "--ipc", 1, "--name", "r", "--device", "cpu", "--threads", 1]
    for answer in (screened(tmp_path, *words), screened(tmp_path, "--resume", "r")):
        run, started, heavy = json.loads(answer.stdout)
        assert (run, heavy) == ("r", [])
        assert started[:3] == ["distill", "--resume", "r"]
    manifest = json.loads((tmp_path / "runs/r/run.json").read_text())
    assert manifest["arithmetic"]["threads"] is None, "the engine decides"
    assert manifest["options"]["threads"] == "1"


def test_the_screen_itself_loads_no_torch() -> None:
    program = "import sys, datm_cli.dashboard.dashboard_app; print('torch' in sys.modules)"
    words = [sys.executable, "-c", program]
    answer = subprocess.run(words, capture_output=True, text=True, cwd=ROOT, check=True)
    assert answer.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--device", "gpu"], "device gpu: not one of"),
        (["--precision", "half"], "precision half: not one of"),
        (["--memory", "much"], "memory much: not a size"),
        (["--threads", "0"], "threads 0: not auto"),
        (["--dataset", "unknown"], "neither a path that exists"),
    ],
)
def test_what_needs_no_torch_is_refused_in_the_shell(
    words: list[str], message: str, tmp_path: Path
) -> None:
    answer = screened(tmp_path, *words)
    error, hint = answer.stderr.strip().splitlines()
    assert message in error
    assert hint.startswith("hint: datm distill") or hint.startswith("hint: ls")
    assert not (tmp_path / "runs").exists()
