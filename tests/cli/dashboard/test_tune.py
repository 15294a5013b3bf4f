"""The dashboard on a tune: its trials, and the run of one of them."""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from textual.pilot import Pilot

from datm_cli.dashboard.panels.images_panel import ImagesPanel
from datm_cli.dashboard.panels.trials_panel import TrialsPanel
from datm_cli.dashboard.tune_dashboard import TuneDashboardApp
from datm_engine.runs import event_log, events
from datm_engine.runs.events import Event
from datm_engine.runs.process import Process
from datm_engine.tuning.tune_folder import Tune

from .conftest import BEGAN, Make, Size, played, screen_text, story
from .test_screens import assert_golden

Act = Callable[[TuneDashboardApp, Pilot[int]], Awaitable[None]]
CHANGES = ["", "T⁺ 3, lr_images 9.3", "syn_steps 6, lr_labels 2.5, a change that is long to read"]


def began(number: int) -> Event:
    return events.TrialBegan(
        trial=number, run=f"trial-{number:03d}", draw="{}", changes=CHANGES[number % 3]
    )


def scored(number: int, iteration: int, accuracy: float) -> Event:
    return events.TrialScored(
        trial=number, iteration=iteration, iterations=300, accuracy=accuracy, time=BEGAN + 300
    )


STARTED = events.RunStarted(
    run="pets", command="tune", device="cpu", version="0", seed=0, time=BEGAN
)
FIRST: list[Event] = [
    STARTED,
    began(0),
    scored(0, 34, 50.0),
    scored(0, 300, 60.0),
    events.TrialEnded(trial=0, status="complete"),
    began(1),
    scored(1, 34, 40.0),
    events.TrialEnded(trial=1, status="pruned"),
    began(2),
    scored(2, 34, 55.0),
]
LAST: list[Event] = [
    scored(2, 300, 71.0),
    events.TrialEnded(trial=2, status="complete"),
    began(3),
    events.TrialEnded(trial=3, status="failed", message="no step was taken"),
    events.RunEnded(status="done", iteration=4, time=BEGAN + 500),
]


@pytest.fixture
def make_tune(make_run: Make, tmp_path: Path) -> Callable[..., Tune]:
    def make(recorded: list[Event], trials: int = 3) -> Tune:
        for number in range(trials):
            make_run(story(30 * (number + 1)), f"pets-tune/trial-{number:03d}")
        tune = Tune(tmp_path / "pets-tune")
        config = {
            "dataset": {"name": "pets"},
            "network": {"architecture": "convnet", "width": 8, "depth": 2},
            "distill": {"ipc": 2},
        }
        tune.path.mkdir(exist_ok=True)
        tune.request_file.write_text(json.dumps({"config": config, "command": "datm tune --ipc 2"}))
        say(tune, recorded)
        return tune

    return make


def say(tune: Tune, recorded: list[Event]) -> None:
    with tune.log.event_log.open("a") as log:
        log.write("".join(event_log.to_json(event) + "\n" for event in recorded))


def shown(tune: Tune, act: Act, size: Size = (120, 40)) -> TuneDashboardApp:
    return played(TuneDashboardApp(tune, clock=lambda: BEGAN + 400, follow=False), act, size)


@pytest.mark.parametrize(("columns", "rows"), [(80, 24), (120, 40)])
def test_a_trial_at_work_stands_above_those_that_are_over(
    make_tune: Callable[..., Tune], columns: int, rows: int
) -> None:
    tune = make_tune(FIRST)
    Process.of(os.getpid()).write(tune.log.process_file)

    async def look(app: TuneDashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert_golden(f"tune-{columns}x{rows}", text)
        assert "pets-tune · trial 2" in text
        assert text.index("▸   2 ") < text.index("★   0 ") < text.index("·   1 ")
        assert "2 over of 3 begun  the settings as they are 60.0%" in text, "which is the best"
        assert app.shown.state.matched[-1].iteration == 90, "the run of trial 2"

    app = shown(tune, look, (columns, rows))
    assert app.exit_message().startswith("tune pets-tune continues; watch it: datm monitor ")


def test_it_turns_to_the_next_trial_and_at_the_end_to_the_best(
    make_tune: Callable[..., Tune],
) -> None:
    tune = make_tune(FIRST[:6])

    async def look(app: TuneDashboardApp, pilot: Pilot[int]) -> None:
        assert app.trial == 1
        assert app.query_one(ImagesPanel).folder == tune.run(1).path
        say(tune, FIRST[6:])
        app.poll()
        assert app.trial == 2
        assert app.shown.state.matched[-1].iteration == 90
        say(tune, LAST)
        app.poll()
        app.redraw()
        await pilot.pause()
        text = screen_text(app)
        assert app.status == "done"
        assert app.trial == 2, "the best"
        assert "best 71.0%, the settings as they are 60.0%" in text
        assert text.index("★   2 ") < text.index("✓   0 ") < text.index("·   1 ")
        assert "✗   3 " in text
        await pilot.press("4")
        await pilot.pause()
        alone = screen_text(app)
        assert "no step was taken" in alone
        assert "matching loss" not in alone
        assert app.file_name_parts == ["pets-tune", "trial-002", "90"]

    app = shown(tune, look)
    wanted = "tune pets-tune is done; distill with it: datm distill --config "
    assert app.exit_message().startswith(wanted)
    assert app.exit_message().endswith("pets-tune/preset.toml")


def test_before_a_trial_has_begun(make_tune: Callable[..., Tune]) -> None:
    async def look(app: TuneDashboardApp, pilot: Pilot[int]) -> None:
        text = screen_text(app)
        assert "no trial has begun" in text
        assert "pets-tune · trial 0" in text

    app = shown(make_tune([STARTED], trials=0), look)
    assert app.status == "crashed"
    assert app.exit_message() == (
        "tune pets-tune crashed: the engine was killed without an error message\n"
        "resume it: datm tune --ipc 2"
    )


def test_more_trials_than_there_is_room_for(make_tune: Callable[..., Tune]) -> None:
    recorded: list[Event] = [STARTED]
    for number in range(40):
        recorded += [began(number), scored(number, 34, 50.0 + number)]
        recorded.append(events.TrialEnded(trial=number, status="pruned"))

    async def look(app: TuneDashboardApp, pilot: Pilot[int]) -> None:
        rows = app.query_one(TrialsPanel).size.height
        assert f"… {40 - rows + 1} more" in screen_text(app)

    shown(make_tune(recorded), look)
