"""The walls between the parts hold: the contracts in pyproject.toml, checked."""

from __future__ import annotations

import subprocess
import sys

from tests.conftest import ROOT


def test_every_import_rule_is_kept() -> None:
    command = "from importlinter.cli import lint_imports_command as lint; lint()"
    checked = subprocess.run(
        [sys.executable, "-c", command, "--config", "pyproject.toml", "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr
