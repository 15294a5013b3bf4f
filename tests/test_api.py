"""The public names, used as a program in Python uses them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import datm_engine
from datm_engine import DatmError, SyntheticSet, distill
from datm_engine.runs.events import Event, RunEnded
from tests.conftest import ROOT, TINY


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Settings of a run of seconds, below a folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path))  # of ~/.cache/datm
    return {f"{table}.{key}": value for table, keys in TINY.items() for key, value in keys.items()}


def test_a_dataset_is_distilled_in_one_call(tiny: dict[str, Any]) -> None:
    seen: list[Event] = []
    run = distill("digits", ipc=1, settings=tiny, on_event=seen.append)
    assert run.path == Path("runs/digits-ipc1")
    assert run.status() == "done"
    assert SyntheticSet.load(run.distilled).ipc == 1
    assert isinstance(seen[-1], RunEnded)
    assert run.events()[-len(seen) :] == seen, "on_event gets what the run records"
    assert run.config().distill.iterations == TINY["distill"]["iterations"]
    again = distill("digits", ipc=1, settings=tiny)
    assert again.name == "digits-ipc1-2"
    assert again.distilled.read_bytes() == run.distilled.read_bytes()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"distill.iteration": 5}, "distill.iteration"),
        ({"iterations": 5}, "not of the form table.key"),
        ({"dataset.train_images": 20, "distill.ipc": 50}, "ipc 50 is more than"),
    ],
)
def test_settings_that_cannot_be_leave_no_run(
    settings: dict[str, Any], message: str, tiny: dict[str, Any]
) -> None:
    with pytest.raises(DatmError, match=message):
        distill("digits", ipc=1, settings=tiny | settings)
    assert not list(Path().glob("runs/*"))


def test_public_names_are_there_and_load_no_torch() -> None:
    assert all(hasattr(datm_engine, name) for name in datm_engine.__all__)
    code = "import sys, datm_engine; dir(datm_engine); assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
