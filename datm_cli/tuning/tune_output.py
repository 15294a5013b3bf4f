"""The result of a tune: lines, a table, a JSON object and a preset."""

from __future__ import annotations

import time
from collections import Counter
from pathlib import Path
from typing import Any

from rich.table import Table

from datm_cli.text import output
from datm_cli.text.escapes import printable
from datm_cli.text.tables import plain_table
from datm_engine.files import make_folder, or_elsewhere, save_text
from datm_engine.formatting import plural
from datm_engine.hints import command
from datm_engine.runs.state import RunState
from datm_engine.runs.trials import Trial, Trials
from datm_engine.settings.derived.rates import FIRST_STEPS
from datm_engine.settings.presets import preset_text
from datm_engine.tuning.trial_settings import lengthened
from datm_engine.tuning.tune_folder import Tune
from datm_engine.tuning.tune_result import finding
from datm_engine.version import __version__

SHOWN = 5  # trials in the table
UNCHANGED = "the settings as they are"


def trial_line(trial: Trial) -> str:
    """How a trial ended."""
    name = f"trial {trial.number}, {trial.changes or UNCHANGED}"
    if trial.status == "failed":
        return f"{name}: failed: {trial.message}"
    score = "not scored" if trial.score is None else f"{trial.score:.1f}%"
    at = f" at {trial.iteration:,} of {trial.iterations:,} iterations" if trial.scores else ""
    return f"{name}: {score}{at}, {trial.status}"


def trials_table(trials: Trials) -> Table:
    """The best trials, and trial 0 below them if it is not among them."""
    figures = ("trial", "held out %", "iterations")
    table = plain_table(
        *figures, "", "settings", right=figures, optional=["iterations", ""], prose=["settings"]
    )
    others = trials.ranked[SHOWN:]
    for trial in (*trials.ranked[:SHOWN], *(trial for trial in others if trial.number == 0)):
        table.add_row(
            str(trial.number),
            f"{trial.score:.1f}",
            f"{trial.iteration:,}",
            printable(trial.status),
            printable(trial.changes or UNCHANGED),
        )
    return table


def print_result(
    tune: Tune, state: RunState, typed: str, to: Path | None, *, as_json: bool, quiet: bool
) -> None:
    """Write and print the result so far, finished or not. `typed`: the command of the tune."""
    preset = write_preset(tune, state, typed, to) if state.trials.best else None
    console = output.results()
    with output.kept(f"the tune is kept in {tune.path}", command("ls", tune.path)):
        if as_json:
            output.print_json(facts(tune, state))
        elif preset:
            console.print(trials_table(state.trials))
            console.print("\n" + printable(finding(state.trials, tune.held_out_images())))
            following = command("datm", "distill", "--config", preset)
            console.print(printable(f"distil with it: {following}"), soft_wrap=True)
    if as_json or quiet:
        return
    output.remark(f"its trials: {tune.path}")
    if state.ended is None or state.ended.status != "done":
        output.remark(f"stopped; resume with: {typed}")
    elif unfinished := len(state.trials.unfinished):
        trials = plural(unfinished, "trial")
        output.remark(f"{trials} had no time to finish; a larger --budget resumes")


def facts(tune: Tune, state: RunState) -> dict[str, Any]:
    """Scores are in percent of the held-out images."""
    best = state.trials.best
    return {
        "tune": tune.name,
        "status": "stopped" if state.ended is None else state.ended.status,
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
            for trial in state.trials.all.values()
        ],
        "best": best.number if best else None,
        "finding": finding(state.trials, tune.held_out_images()),
        "preset": str(tune.preset) if best else None,
    }


def write_preset(tune: Tune, state: RunState, typed: str, to: Path | None) -> Path:
    """Write the best trial's settings, in full length. Raises FileError."""
    best = state.trials.best
    assert best is not None
    path = to or tune.preset
    derived = tune.run(0).manifest().derived  # by the experts, for the trials' length
    config = lengthened(tune.config(), tune.run(best.number).config(), derived)
    heading = _heading(tune, state, best, path, is_derived=bool(derived))
    # Escaped, because a line break in a name would end the comment.
    text = preset_text(config, [*map(printable, heading), printable(f"made by: {typed}")])
    save_text(tune.preset, text)
    if to is not None:
        with or_elsewhere(to, "to"):
            make_folder(to.parent)
            save_text(to, text)
    return path


def _heading(
    tune: Tune, state: RunState, best: Trial, path: Path, *, is_derived: bool
) -> list[str]:
    config, images = tune.config(), tune.held_out_images()
    trials, first = state.trials, state.trials.first
    lines = [
        f"Settings for {plural(config.distill.ipc, 'image')} a class of {config.dataset.name}, "
        "tuned by short trials that were",
        "scored on held-out training images; the test images had no part in it.",
        "",
        f"  {command('datm', 'distill', '--config', path)}",
        "",
        f"measured: {best.score:.1f}% of {images:,} held-out images, trial {best.number} at "
        f"{best.iteration:,} of {best.iterations:,} iterations",
    ]
    if first is not None and first.score is not None:
        lines.append(
            f"the settings as they were: {first.score:.1f}%, at {first.iteration:,} iterations"
        )
    repeats = tune.run(best.number).config().evaluate.selection_repeats
    lines += [
        finding(trials, images),
        f"each score is the mean of {plural(repeats, 'network')}, the best on the way",
        f"changed: {best.changes or 'nothing'}",
    ]
    if best.iterations != config.distill.iterations and is_derived:
        lines.append(
            f"{', '.join(FIRST_STEPS)}: what was derived for {best.iterations:,} iterations is "
            f"stated for {config.distill.iterations:,}"
        )
    statuses = Counter(trial.status for trial in trials.all.values())
    counts = ", ".join(f"{count} {status}" for status, count in statuses.items())
    lines.append(f"trials: {len(trials.all)} ({counts}), seed {config.distill.seed}")
    if planned := tune.run(0).state().planned:
        lines.append(f"experts: {Path(planned.folder).name}, whose name covers the images")
    device = state.started.device if state.started else "unknown"
    day = time.strftime("%Y-%m-%d", time.localtime(state.last_time or time.time()))
    lines.append(f"device: {device}; datm {__version__}, {day}")
    return lines
