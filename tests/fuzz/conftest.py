"""What may come from anywhere: random values, damaged bytes, and a command line to give them to.

By default few examples, and with `make test-slow` many, always the same, so that a change does not
fail for an old fault. `pytest tests/fuzz --hypothesis-profile explore` tries others each time.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from datm_cli.main import main
from tests.fuzz.hostile import NAME

ALLOWED = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile(
    "quick",
    derandomize=True,
    database=None,
    max_examples=25,
    deadline=None,
    suppress_health_check=ALLOWED,
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=150)
settings.register_profile("explore", settings.get_profile("thorough"), derandomize=False)
settings.load_profile("quick")

WHOLE = st.one_of(st.integers(), st.integers(-1, 3), st.sampled_from([2**31, 2**63, 10**400]))
SCALARS = st.one_of(
    st.none(), st.booleans(), WHOLE, st.floats(), st.text(max_size=8), st.just("x\n\x1b[2J\ty")
)
JUNK = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)
TOO_DEEP = "[" * 100_000


def damaged(content: bytes) -> st.SearchStrategy[bytes]:
    """`content` with bits flipped, bytes replaced, or an end cut off."""
    at = st.integers(0, len(content) - 1)

    def flip(places: list[tuple[int, int]]) -> bytes:
        changed = bytearray(content)
        for place, value in places:
            changed[place] ^= value
        return bytes(changed)

    flipped = st.lists(st.tuples(at, st.integers(1, 255)), min_size=1, max_size=4).map(flip)
    return st.one_of(flipped, at.map(lambda end: content[:end]))


Answer = tuple[int, str, str]


@pytest.fixture(scope="session")
def type_() -> Callable[..., Answer]:
    """Type a command: its exit code, what it printed, what it said."""

    def type_(*words: object) -> Answer:
        out, err = io.StringIO(), io.StringIO()
        with (
            mock.patch.object(sys, "argv", ["datm", *map(str, words)]),
            redirect_stdout(out),
            redirect_stderr(err),
            pytest.raises(SystemExit) as left,
        ):
            main()
        return int(left.value.code or 0), out.getvalue(), err.getvalue()

    return type_


def assert_fine_or_two_lines(answer: Answer) -> None:
    """Nothing else may come of any input."""
    code, _, err = answer
    assert "Traceback" not in err, err
    assert "a fault in datm" not in err, err
    if code:
        assert code in (1, 2), err
        lines = err.strip().split("\n")
        first = next(n for n, line in enumerate(lines) if line.startswith("error: "))
        assert len(lines[first:]) == 2, err
        assert lines[-1].startswith("hint: "), err


def write(path: Path, content: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with such a name; the terminal is wide, so that no name is wrapped."""
    monkeypatch.setenv("COLUMNS", "9999")
    folder = tmp_path / NAME
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder
