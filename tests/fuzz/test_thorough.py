"""The other tests of this folder with many more examples."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NAMES = sorted({path.name for path in HERE.glob("test_*.py")} - {Path(__file__).name})


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_thoroughly(name: str) -> None:
    words = ["-m", "pytest", str(HERE / name), "--hypothesis-profile=thorough", "-q", "-x"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    ended = subprocess.run(
        [sys.executable, *words],
        cwd=HERE.parents[1],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout[-8000:]
