"""Runs that never were: their directories, written as an engine would."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import pytest
from safetensors.numpy import save_file
from textual.app import App
from textual.pilot import Pilot

from datm_cli.dashboard.dashboard_app import DashboardApp
from datm_cli.dashboard.tune_dashboard import TuneDashboardApp
from datm_engine.runs import event_log, events
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Event

BEGAN = 1_700_000_000.0
CLASSES = ("cat", "dog", "owl")

Make = Callable[..., Run]
Size = tuple[int, int]
Screen = TypeVar("Screen", DashboardApp, TuneDashboardApp)
Act = Callable[[DashboardApp, Pilot[int]], Awaitable[None]]


def matched(iteration: int, iterations: int = 300, **over: Any) -> events.Matched:
    """As a distillation with T⁻ = 2 and T growing from 6 to 10 would state it."""
    facts: dict[str, Any] = {
        "iteration": iteration,
        "iterations": iterations,
        "loss": 0.3 + 0.6 * math.exp(-iteration / 60) + 0.02 * math.sin(iteration),
        "expert": iteration % 3,
        "start_epoch": 2 + iteration * 7 % 5,
        "target_epoch": 4 + iteration * 7 % 5,
        "lower": 2,
        "upper": min(10, 6 + iteration // 50),
        "final_upper": 10,
        "syn_lr": 0.01 + iteration * 1e-5,
        "skip_reason": None,
        "skipped": 0,
        "seconds": 2.0,
        "memory": 1_200_000_000,
        "time": BEGAN + 100 + 2 * iteration,
    }
    return events.Matched(**(facts | over))


def story(iterations: int = 120) -> list[Event]:
    """A run from its start to iteration `iterations` of 300."""
    recorded: list[Event] = [
        events.Noted(text="settings: preset pets-ipc2", time=BEGAN),
        events.RunStarted(
            run="pets", command="distill", device="cpu", version="0", seed=0, time=BEGAN
        ),
        events.DatasetReady(
            name="pets",
            classes=3,
            train=90,
            validation=10,
            test=20,
            channels=3,
            height=8,
            width=8,
            preprocessing="zca",
            time=BEGAN + 1,
        ),
        events.ExpertsPlanned(
            folder="experts/1",
            total=2,
            missing=2,
            epochs=12,
            epochs_needed=11,
            seconds=20.0,
            size=1_000_000,
            time=BEGAN + 2,
        ),
    ]
    for expert in range(2):
        for epoch in range(1, 13):
            at = BEGAN + 2 + expert * 24 + 2 * epoch
            recorded.append(
                events.ExpertEpoch(
                    expert=expert,
                    epoch=epoch,
                    epochs=12,
                    loss=2.0 / epoch,
                    accuracy=90 - 50 / epoch,
                    time=at,
                )
            )
        recorded.append(
            events.ExpertTrained(
                expert=expert,
                total=2,
                path="experts/1/expert-0000.safetensors",
                seconds=24.0,
                train_accuracy=86.0,
                validation_accuracy=80.0,
                time=BEGAN + 26 + expert * 24,
            )
        )
    for row, (name, accuracy) in enumerate((("random", 41.0), ("full", 82.0))):
        recorded.append(
            events.EvaluationProgress(
                set=name,
                network="convnet",
                repeat=0,
                repeats=1,
                epoch=5,
                epochs=10,
                row=row,
                rows=2,
                time=BEGAN + 60 + 10 * row,
            )
        )
        recorded.append(
            events.Evaluated(
                set=name,
                network="convnet",
                accuracy_mean=accuracy,
                accuracy_std=1.0,
                repeats=1,
                images=6,
                validation_mean=accuracy + 2,
                time=BEGAN + 65 + 10 * row,
            )
        )
    recorded.append(
        events.SampleSaved(iteration=0, path="samples/initial.safetensors", time=BEGAN + 100)
    )
    for iteration in range(1, iterations + 1):
        skip_reason = events.SkipReason.LOSS_ABOVE_THRESHOLD if iteration == 3 else None
        recorded.append(matched(iteration, skip_reason=skip_reason, skipped=int(iteration >= 3)))
        if iteration % 50 == 0:
            recorded.append(
                events.CandidateScored(
                    iteration=iteration,
                    part="validation",
                    accuracy=50 + iteration / 10,
                    images=6,
                    best=True,
                    time=BEGAN + 101 + 2 * iteration,
                )
            )
            recorded.append(
                events.SampleSaved(
                    iteration=iteration,
                    path=f"samples/{iteration:06d}.safetensors",
                    time=BEGAN + 101 + 2 * iteration,
                )
            )
    return recorded


def picture(seed: int) -> np.ndarray[Any, Any]:
    """[3, 8, 8] uint8: a square that is brighter the higher the seed."""
    image = np.full((3, 8, 8), 20, dtype=np.uint8)
    image[:, 2:6, 2:6] = 60 + 20 * seed
    image[seed % 3, 3:5, 3:5] = 255
    return image


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., Run]:
    """A run directory with these events, its samples and a distilled set's header."""

    def make(recorded: list[Event], name: str = "pets") -> Run:
        run = Run(tmp_path / name)
        run.samples.mkdir(parents=True)
        config = {
            "dataset": {"name": "pets"},
            "network": {"architecture": "convnet", "width": 8, "depth": 2},
            "distill": {"ipc": 2},
        }
        (run.path / "run.json").write_text(json.dumps({"config": config, "created": BEGAN}))
        run.event_log.write_text("".join(event_log.to_json(event) + "\n" for event in recorded))
        start = np.stack([picture(k) for k in range(6)])
        save_file({"pictures": start}, run.samples / "initial.safetensors")
        for event in recorded:
            if isinstance(event, events.SampleSaved) and event.iteration:
                tensors = {
                    "pictures": np.stack([picture(k + 1) for k in range(6)]),
                    "indices": np.arange(6),
                }
                save_file(tensors, run.path / event.path, {"iteration": str(event.iteration)})
        names = {"class_names": json.dumps(CLASSES)}
        save_file({"images": np.zeros(1, dtype=np.float32)}, run.distilled, names)
        return run

    return make


@pytest.fixture(autouse=True)
def plainly(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)


def screen_text(app: App[Any]) -> str:
    """What is on the screen, a line a row, without what only fills."""
    rows = app.screen._compositor.render_strips()
    return "\n".join("".join(s.text for s in strip).rstrip() for strip in rows) + "\n"


def played(app: Screen, act: Callable[[Screen, Pilot[int]], Awaitable[None]], size: Size) -> Screen:
    """The app, without a terminal or a timer, that `act` has played with."""

    async def play() -> None:
        async with app.run_test(size=size) as pilot:
            await pilot.pause()
            app.redraw()
            await pilot.pause()
            await act(app, pilot)

    asyncio.run(play())
    return app


def shown(run: Run, act: Act, size: Size = (120, 40)) -> DashboardApp:
    return played(DashboardApp(run, clock=lambda: BEGAN + 400, follow=False), act, size)


def ended(status: str = "done", **over: str) -> events.RunEnded:
    return events.RunEnded(status=status, iteration=120, time=BEGAN + 500, **over)
