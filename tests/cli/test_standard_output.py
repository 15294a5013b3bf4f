"""Standard output that cannot be written, a closed pipe, and Ctrl+C while modules are imported."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from datm_engine.runs.events import RunEnded
from tests.cli.conftest import Answer, assert_can_be_typed, recorded
from tests.conftest import ROOT

FULL = Path("/dev/full")
WRONG = "error: standard output cannot be written: No space left on device"

needs_full = pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")


def into(out: Path, *words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    """`datm WORDS > out`."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with out.open("w") as file:
        return subprocess.run(
            [sys.executable, "-m", "datm_cli", *words],
            stdout=file,
            stderr=subprocess.PIPE,
            text=True,
            cwd=cwd,
            env=environment,
            check=False,
        )


@needs_full
@pytest.mark.parametrize(
    "words",
    [
        ["runs"],
        ["runs", "--json"],
        ["--version"],
        ["distill", "--help"],
        ["runs", "--json", "--nothing"],
    ],
    ids=" ".join,
)
def test_what_cannot_be_printed_is_reported_on_stderr(words: list[str], tmp_path: Path) -> None:
    recorded(tmp_path / "runs", "r", [RunEnded(status="done", iteration=0)])
    left = into(FULL, *words, cwd=tmp_path)
    lines = left.stderr.strip().splitlines()
    if "--nothing" in words:  # the error itself is what could not be printed
        assert lines == ["error: No such option: --nothing", "hint: datm runs --help"]
        assert left.returncode == 2
    else:
        assert lines == [WRONG, f"hint: datm {' '.join(words)}"]
        assert left.returncode == 1


@needs_full
@pytest.mark.parametrize("as_json", [True, False])
def test_a_report_that_was_written_is_named(as_json: bool, tmp_path: Path) -> None:
    recorded(tmp_path / "runs", "r", [RunEnded(status="done", iteration=0)])
    left = into(FULL, "report", "r", *(["--json"] if as_json else []), cwd=tmp_path)
    assert left.returncode == 1
    assert left.stderr == f"{WRONG}; the report is in r.html\nhint: ls -l r.html\n"
    assert (tmp_path / "r.html").stat().st_size > 1000


@needs_full
@pytest.mark.parametrize("as_json", [True, False])
def test_a_run_that_was_made_is_named(
    as_json: bool,
    datm: Callable[..., Answer],
    settings: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also where the first byte that cannot be written is that of the result."""
    from datm_cli.text import output

    def full(*_: object, **__: object) -> None:
        raise output.Unwritable(28, "No space left on device")

    monkeypatch.setattr("datm_cli.text.output.discard_stdout", lambda: None)
    monkeypatch.setattr("datm_cli.text.output.print_json", full)
    monkeypatch.setattr("rich.console.Console._check_buffer", full)
    words = ["--config", settings, "--name", "my run", "--runs-dir", "my runs", "--quiet"]
    answer = datm("distill", *words, *(["--json"] if as_json else []))
    hint = "datm inspect 'my run' --runs-dir 'my runs'"
    assert answer.code == 1
    assert answer.err == f"{WRONG}; run my run is kept in my runs/my run\nhint: {hint}\n"
    assert_can_be_typed(hint)


def test_output_that_can_be_written_is_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    left = into(out, "runs", "--json", cwd=tmp_path)
    assert (left.returncode, out.read_text(), left.stderr) == (0, '{"runs": []}\n', "")


@pytest.mark.parametrize("command", ["", "distill", "runs"])
def test_help_into_a_closed_pipe_ends_with_141_and_nothing_said(
    command: str, tmp_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "w") as pipe:
        left = subprocess.run(
            [sys.executable, "-m", "datm_cli", *command.split(), "--help"],
            stdout=pipe,
            stderr=subprocess.PIPE,
            text=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            check=False,
        )
    assert (left.returncode, left.stderr) == (141, "")


@pytest.mark.parametrize("module", ["typer", "datm_cli.text.output", "pydantic", "numpy"])
def test_an_interrupt_while_modules_are_imported_ends_quietly_with_130(
    module: str, tmp_path: Path
) -> None:
    """The signal comes from within the import of `module`."""
    program = f"""
import os, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background ignores it
class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupting())
sys.argv = ["datm", "distill", "--preset", "nothing"]
from datm_cli.main import main
main()
"""
    left = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert (left.returncode, left.stdout, left.stderr) == (130, "", "")


def test_an_interrupt_that_is_ignored_stays_so(tmp_path: Path) -> None:
    """A screen that is started ignores Ctrl+C until it takes it as a key."""
    program = (
        "import signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "sys.argv = ['datm', '--version']; from datm_cli.main import main\n"
        "try: main()\n"
        "finally: assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    left = subprocess.run([sys.executable, "-c", program], env=environment, check=False)
    assert left.returncode == 0
