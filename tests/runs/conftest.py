"""A run, and what is written into it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from datm_engine.runs.directory import Run
from datm_engine.runs.events import Event, Matched, RunStarted
from datm_engine.settings.config import Config

Make = Callable[..., Config]


@pytest.fixture
def run(make_config: Make, tmp_path: Path) -> Run:
    return Run.create(tmp_path, "one", make_config(), {"source": "tests"})


def started(resumed_at: int = 0) -> RunStarted:
    return RunStarted(
        run="one", command="distill", device="cpu", version="0", seed=0, resumed_at=resumed_at
    )


def matched(iteration: int, loss: float) -> Matched:
    return Matched(
        iteration=iteration,
        iterations=9,
        loss=loss,
        expert=0,
        start_epoch=0,
        target_epoch=1,
        lower=0,
        upper=1,
        final_upper=1,
        syn_lr=0.1,
        skip_reason=None,
        skipped=0,
        seconds=0.1,
    )


def write(run: Run, *events: Event) -> None:
    with run.recording() as record:
        for event in events:
            record.write(event)


def plain(events: list[Event]) -> list[Event]:
    return [event.model_copy(update={"time": 0.0}) for event in events]
