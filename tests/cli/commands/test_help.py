"""What datm says of itself."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable

import pytest

from datm_cli.app import COMMANDS
from datm_engine.version import __version__
from tests.cli.conftest import Answer


def test_version_is_reported_without_torch() -> None:
    """An import of torch would cost over a second; the time itself is not asserted."""
    loaded = "import sys; from datm_cli.main import main; sys.argv = ['datm', '--version']\n"
    heavy = "{'torch', 'numpy', 'textual', 'rich'}"
    loaded += f"try: main()\nexcept SystemExit: print({heavy} & {{*sys.modules}})"
    found = subprocess.run(
        [sys.executable, "-c", loaded], capture_output=True, text=True, check=True
    )
    assert found.stdout == f"datm {__version__}\nset()\n"


def test_help_states_what_is_taken_where_nothing_is_given(
    datm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    text = datm("distill", "--help").out
    assert "[default: (digits)]" in text
    assert "[default: (from dataset and ipc)]" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_paragraphs_are_as_wide_as_the_screen(
    command: str, datm: Callable[..., Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not broken where the source's lines end, which are shorter than 400 columns."""
    monkeypatch.setenv("COLUMNS", "400")
    before_the_boxes, _, _ = datm(command, "--help").out.partition("╭")
    usage, *text = re.split(r"\n\s*\n", before_the_boxes.strip())
    assert f"datm {command} " in usage
    assert text
    assert all("\n" not in paragraph for paragraph in text)
