"""What a tune comes to, in lines, a table, an object and a preset."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from datm_cli.text.escapes import printable
from datm_engine.files import make_folder, or_elsewhere, save_text
from datm_engine.formatting import plural
from datm_engine.hints import command
from datm_engine.runs import events
from datm_engine.settings.derived import STEPPED
from datm_engine.settings.presets import preset_text
from datm_engine.tuning.trial_settings import lengthened
from datm_engine.tuning.trials import Trial, Trials
from datm_engine.tuning.tune_folder import Tune
from datm_engine.tuning.tune_result import finding
from datm_engine.version import __version__

SHOWN = 5  # trials in the table
AS_THEY_ARE = "the settings as they are"


def line(trial: Trial) -> str:
    """How a trial ended."""
    changed = trial.changes or AS_THEY_ARE
    if trial.status == "failed":
        return f"trial {trial.number}, {changed}: failed: {trial.message}"
    score = "not scored" if trial.score is None else f"{trial.score:.1f}%"
    at = f" at {trial.iteration:,} of {trial.iterations:,} iterations" if trial.scores else ""
    return f"trial {trial.number}, {changed}: {score}{at}, {trial.status}"


def table(trials: Trials) -> Table:
    """The best trials, and the first one wherever it stands."""
    drawn = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for name in ("trial", "held out %", "iterations", "", "settings"):
        right = name in ("trial", "held out %", "iterations")
        drawn.add_column(name, justify="right" if right else "left", overflow="fold")
    best = trials.ranked[:SHOWN]
    first = [t for t in trials.ranked[SHOWN:] if t.number == 0]
    for trial in (*best, *first):
        drawn.add_row(
            str(trial.number),
            f"{trial.score:.1f}",
            f"{trial.iteration:,}",
            printable(trial.status),
            printable(trial.changes or AS_THEY_ARE),
        )
    return drawn


def held_out(tune: Tune) -> int:
    """Images that trials are scored on."""
    told = tune.run(0).events() if tune.run(0).event_log.exists() else []
    return next((e.validation for e in told if isinstance(e, events.DatasetReady)), 0)


def told(tune: Tune, trials: Trials) -> dict[str, Any]:
    """For `--json`; percent of held-out images."""
    best = trials.best
    return {
        "tune": tune.name,
        "status": "stopped" if trials.ended is None else trials.ended.status,
        "trials": [
            {
                "trial": trial.number,
                "run": str(tune.path / trial.run),
                "status": trial.status,
                "iteration": trial.iteration,
                "iterations": trial.iterations,
                "score": None if trial.score is None else round(trial.score, 4),
                "changes": trial.changes,
            }
            for trial in trials.all.values()
        ],
        "best": best.number if best else None,
        "finding": finding(trials, held_out(tune)),
        "preset": str(tune.preset) if best else None,
    }


def write_preset(tune: Tune, trials: Trials, made_by: str, to: Path | None) -> Path:
    """The best trial's settings, at the length that was asked for. Raises FileError."""
    asked, best = tune.asked(), trials.best
    assert best is not None
    config = lengthened(asked, tune.run(best.number).config(), _derived(tune))
    place = to or tune.preset
    head = map(printable, _head(tune, trials, best, made_by, place))  # no line but a comment
    text = preset_text(config, list(head))
    save_text(tune.preset, text)
    if place != tune.preset:
        with or_elsewhere(place, "--to"):
            make_folder(place.parent)
            save_text(place, text)
    return place


def _derived(tune: Tune) -> dict[str, Any]:
    """What the experts settled for the trials, `table.key` → value and reason."""
    derived: dict[str, Any] = tune.run(0).facts().get("derived", {})
    return derived


def _head(tune: Tune, trials: Trials, best: Trial, made_by: str, place: Path) -> list[str]:
    config, first, images = tune.asked(), trials.first, held_out(tune)
    states = Counter(trial.status for trial in trials.all.values())
    counts = ", ".join(f"{count} {status}" for status, count in states.items())
    ready = [e for e in tune.run(0).events() if isinstance(e, events.ExpertsPlanned)]
    lines = [
        f"Settings for {plural(config.distill.ipc, 'image')} a class of {config.dataset.name}, "
        "tuned by short trials that were",
        "scored on held-out training images; the test images had no part in it.",
        "",
        f"  {command('datm', 'distill', '--config', place)}",
        "",
        f"measured: {best.score:.1f}% of {images:,} held-out images, trial {best.number} at "
        f"{best.iteration:,} of {best.iterations:,} iterations",
    ]
    if first is not None and first.score is not None:
        lines.append(
            f"the settings as they were: {first.score:.1f}%, at {first.iteration:,} iterations"
        )
    lines.append(finding(trials, images))
    repeats = tune.run(best.number).config().evaluate.selection_repeats
    lines.append(f"each score is the mean of {plural(repeats, 'network')}, the best on the way")
    lines.append(f"changed: {best.changes or 'nothing'}")
    if best.iterations != config.distill.iterations and _derived(tune):
        lines.append(
            f"{', '.join(STEPPED)}: what of them was derived for {best.iterations:,} iterations is "
            f"stated for {config.distill.iterations:,}"
        )
    lines.append(f"trials: {len(trials.all)} ({counts}), seed {config.distill.seed}")
    if ready:
        lines.append(f"experts: {Path(ready[-1].folder).name}, whose name covers the images")
    device = trials.started.device if trials.started else "unknown"
    day = time.strftime("%Y-%m-%d", time.localtime(trials.last_time or time.time()))
    lines.append(f"device: {device}; datm {__version__}, {day}")
    lines.append(f"made by: {made_by}")
    return lines
