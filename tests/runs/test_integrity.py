"""What a run goes on without is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, Matched, RunStarted, SampleSaved
from datm_engine.runs.integrity import losses
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


def test_nothing_is_told_of_a_sound_run(run: Run) -> None:
    assert losses(run, 3) == []


def test_a_damaged_line(run: Run) -> None:
    text = run.event_log.read_text()
    run.event_log.write_text(text.replace('"iteration": 2', '"iteration": 3'))
    told = losses(run, 3)
    assert told[0].startswith("events.jsonl: 1 line passed over")
    assert told[1].startswith("events.jsonl no longer tells of 1 of 3 iterations")
    assert [e.iteration for e in run.events() if isinstance(e, Matched)] == [1, 3]


def test_an_end_that_is_lost(run: Run) -> None:
    lines = run.event_log.read_text().splitlines(keepends=True)
    run.event_log.write_text("".join(lines[:2]))
    assert losses(run, 3)[0].startswith("events.jsonl no longer tells of 2 of 3 iterations")


def test_a_damaged_sample(run: Run) -> None:
    path = run.samples / "000001.safetensors"
    content = bytearray(path.read_bytes())
    content[-1] ^= 4
    path.write_bytes(content)
    (told,) = losses(run, 3)
    assert "000001.safetensors is damaged" in told
    assert told.endswith(f"rm {path}")


def test_what_is_told_twice_counts_once(run: Run) -> None:
    scored = CandidateScored(iteration=3, part="validation", accuracy=50, images=10, best=True)
    sample = SampleSaved(iteration=0, path="samples/initial.safetensors")
    with run.recording() as record:
        for event in (sample, scored, started(resumed_at=3), sample, scored, matched(3, 0.7)):
            record.write(event)
    kinds = [type(event) for event in run.events()]
    assert (kinds.count(CandidateScored), kinds.count(SampleSaved), kinds.count(Matched)) == (
        1,
        1,
        3,
    )
    assert [e.loss for e in run.events() if isinstance(e, Matched)] == [0.5, 0.5, 0.7]
    assert kinds.count(RunStarted) == 2
