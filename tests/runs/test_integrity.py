"""What a run continues without is reported."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, SampleSaved
from datm_engine.runs.integrity import problems
from datm_engine.settings.config import Config
from datm_engine.tensors import save_tensors
from tests.runs.conftest import matched, started


@pytest.fixture
def run(make_config: Callable[..., Config], tmp_path: Path) -> Run:
    """Of three iterations, with two samples."""
    run = Run.create(tmp_path, "r", make_config(), {})
    with run.recording() as record:
        record.write(started())
        for iteration in (1, 2, 3):
            record.write(matched(iteration, 0.5))
    for iteration in (1, 2):
        pictures = torch.zeros(2, 1, 4, 4, dtype=torch.uint8)
        save_tensors(run.samples / f"{iteration:06d}.safetensors", {"pictures": pictures}, {})
    return run


def test_nothing_is_reported_of_a_sound_run(run: Run) -> None:
    assert problems(run, 3) == []


def test_a_damaged_line(run: Run) -> None:
    text = run.event_log.read_text()
    run.event_log.write_text(text.replace('"iteration": 2', '"iteration": 2x'))
    result = problems(run, 3)
    assert result[0].startswith("events.jsonl: 1 line ignored")
    assert result[1].startswith("events.jsonl lacks 1 of 3 iterations")
    assert [event.iteration for event in run.state().matched] == [1, 3]


def test_an_end_that_is_lost(run: Run) -> None:
    lines = run.event_log.read_text().splitlines(keepends=True)
    run.event_log.write_text("".join(lines[:2]))
    assert problems(run, 3)[0].startswith("events.jsonl lacks 2 of 3 iterations")


def test_a_damaged_sample(run: Run) -> None:
    path = run.samples / "000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    (result,) = problems(run, 3)
    assert "000001.safetensors is damaged" in result
    assert result.endswith(f"rm {path}")


def test_what_is_recorded_twice_counts_once(run: Run) -> None:
    scored = CandidateScored(iteration=3, part="validation", accuracy=50, images=10, best=True)
    sample = SampleSaved(iteration=0, path="samples/initial.safetensors")
    with run.recording() as record:
        for event in (sample, scored, started(resumed_at=3), sample, scored, matched(4, 0.7)):
            record.write(event)
    state = run.state()
    assert (len(state.candidates), len(state.samples)) == (1, 1)
    assert [event.loss for event in state.matched] == [0.5, 0.5, 0.5, 0.7]
