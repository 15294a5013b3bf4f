"""The report of a run: accuracy, images, soft labels, charts, cost and configuration.

The words and numbers are computed here; `templates/run.html.jinja` has the headings.
"""

from __future__ import annotations

import math
from collections import Counter
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from datm_cli.report.experts_page import expert_charts
from datm_cli.report.page import render
from datm_cli.report.run_charts import run_charts
from datm_cli.report.set_images import before_and_after, soft_labels
from datm_cli.run_summary import SETS, RunSummary
from datm_cli.text.expert_report import ExpertReport
from datm_engine.errors import RunError
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.files import validated
from datm_engine.formatting import byte_size, duration, plural, step_duration
from datm_engine.runs.state import TIMED_STAGES
from datm_engine.settings import presets
from datm_engine.settings.config import build, differences
from datm_engine.settings.presets import APPROXIMATE

if TYPE_CHECKING:
    from datm_cli.target import TargetSet

KIND = "report of a run"
STAGE_NAMES = {
    "dataset": "loading the dataset",
    "experts": "training experts",
    "calibration": "deriving settings",
    "distill": "distilling",
    "selection": "scoring candidates",
    "evaluate": "testing",
}

Facts = list[tuple[str, object]]  # names and values; those that are None are not shown


def run_page(summary: RunSummary, target: TargetSet | None) -> str:
    """The page. target: None if the run has no images yet. Raises RunError for a damaged run."""
    config, manifest, state = summary.config, summary.manifest, summary.state
    experts = _expert_report(summary)
    overview = [summary.status, Path(config.dataset.name).name]
    overview.append(f"{plural(config.distill.ipc, 'image')} a class")
    with suppress(ValueError, OverflowError, OSError):  # out of the range of dates
        created = datetime.fromtimestamp(manifest.created).astimezone()
        overview.append(f"begun {created:%Y-%m-%d %H:%M %Z}")
    tested = {row.set for row in state.results}
    changed = {}
    # The values that a preset of this version states.
    if len(manifest.presets) == 1 and manifest.presets[0] in presets.names():
        (preset,) = manifest.presets
        changed = differences(build(presets.load(preset), preset), config)
    return render(
        "run.html.jinja",
        kind=KIND,
        title=f"{summary.run.name}: datm report",
        name=summary.run.name,
        overview=" · ".join(overview),
        warning=None if summary.status == "done" else _status(summary),
        accuracy=_accuracy(summary),
        results=_results(summary),
        sets="; ".join(f"{name}: {what}" for name, what in SETS.items() if name in tested),
        images=target and before_and_after(target),
        labels=target and soft_labels(target.synthetic),
        charts=list(run_charts(state)),
        skipped=_skipped(summary),
        experts=experts,
        expert_charts=experts and expert_charts(experts),
        cost=_cost(summary),
        source=manifest.source or "not recorded",
        config=config.model_dump(),
        changed=changed,
        derived=manifest.derived,
        approximate=config.distill.gradient == "tesla"
        and f"{APPROXIMATE[0].upper()}{APPROXIMATE[1:]}.",
        environment=_environment(summary),
    )


def _status(summary: RunSummary) -> str:
    """What a run that is not done came to."""
    at = f"iteration {summary.state.iteration:,} of {summary.iterations:,}"
    ended = summary.state.ended
    if summary.status == "new":
        return "This run has not started: only its settings exist."
    sentence = {
        "running": f"This run is at {at}.",
        "stopped": f"This run was stopped at {at}, and can be resumed.",
        "failed": f"This run failed at {at}: {ended.message if ended else ''}.",
        "crashed": f"This run crashed at {at}: it recorded no end.",
        "stale": f"This run, on another machine, has reported nothing since {at}.",
    }.get(summary.status, f"This run is {summary.status}, at {at}.")
    return f"{sentence} The report covers it up to there."


def _accuracy(summary: RunSummary) -> str:
    """The accuracy of the set by the first network, in one or two sentences."""
    state = summary.state
    network = summary.config.evaluate.networks[0]
    tested = {row.set: row for row in state.results if row.network == network}
    own = tested.get("distilled")
    if own is None:
        if not state.candidates:
            return "Nothing has been trained on these images yet."
        best = max(state.candidates, key=lambda event: event.accuracy)
        part = "held-out training" if best.part == "validation" else "test"
        return (
            f"Networks trained on the set as it was at iteration {best.iteration:,} classify "
            f"{best.accuracy:.1f}% of {part} images correctly; it has not been tested yet."
        )
    of = f"{state.dataset.test:,} test images" if state.dataset else "test images"
    repeats = f"mean ± standard deviation of {own.repeats}" if own.repeats > 1 else "one of them"
    sentence = (
        f"Networks trained on these {plural(own.images, 'image')} classify {own.percent(1)}% of "
        f"{of} correctly ({network}, {repeats})."
    )
    real = "; ".join(
        f"{SETS[name]}: {tested[name].percent(1)}%" for name in ("random", "full") if name in tested
    )
    return f"{sentence} {real[0].upper()}{real[1:]}." if real else sentence


def _results(summary: RunSummary) -> list[list[object]]:
    """A row of the test accuracies for every set and network."""
    order = list(SETS)  # other sets come last
    rows = sorted(summary.state.results, key=lambda row: [*order, row.set].index(row.set))
    return [
        [
            row.set,
            row.network,
            row.percent(),
            row.repeats,
            f"{row.images:,}",
            "" if row.iteration is None else f"{row.iteration:,}",
            duration(row.seconds) if row.seconds else "",
        ]
        for row in rows
    ]


def _skipped(summary: RunSummary) -> str:
    """How many iterations took no step, and why. Empty if all did."""
    matched = summary.state.matched
    counts = Counter(event.skip_reason for event in matched if event.skip_reason)
    reasons = "; ".join(
        f"{reason.sentence} ({plural(count, 'time')})" for reason, count in counts.items()
    )
    iterations = plural(len(matched), "iteration")
    return reasons and f"{counts.total():,} of {iterations} took no step: {reasons}"


def _expert_report(summary: RunSummary) -> ExpertReport | None:
    """What the experts know, if settings were derived from it. Raises RunError."""
    stated = summary.manifest.learning_curves
    if stated is None:
        return None
    try:
        curves = validated(LearningCurves, stated)
    except ValueError as problem:
        wrong = f"{summary.run.manifest_file}: learning_curves: {problem}"
        raise RunError(wrong, summary.run.list_command) from None
    return ExpertReport(summary.config, "", summary.config.experts.count, curves)


def _cost(summary: RunSummary) -> Facts:
    """Time, memory and disk used so far."""
    state = summary.state
    median, memory, seconds = state.seconds_per_iteration, state.memory, state.seconds
    return [
        ("iterations", f"{state.iteration:,} of {summary.iterations:,}"),
        ("an iteration (median)", step_duration(median) if median else None),
        *(
            (STAGE_NAMES[stage], duration(seconds[stage]) if seconds[stage] else None)
            for stage in TIMED_STAGES
        ),
        ("all of it", duration(math.fsum(seconds.values()))),
        ("peak memory of the process", byte_size(memory) if memory else None),
        ("the run's files", byte_size(summary.disk)),
    ]


def _environment(summary: RunSummary) -> Facts:
    """Versions, device and arithmetic of the run. The machine's name is private."""
    versions, arithmetic = summary.manifest.environment, summary.manifest.arithmetic
    compiled = [what for what, is_compiled in arithmetic.compiled.items() if is_compiled]
    memory, started = arithmetic.memory, summary.state.started
    return [
        ("datm", started.version if started else None),
        ("torch", versions.get("torch")),
        ("Python", versions.get("python")),
        ("platform", versions.get("platform")),
        ("device", summary.device),
        ("threads", arithmetic.threads),
        ("precision", arithmetic.precision),
        ("compiling", arithmetic.compile),
        ("compiled", ", ".join(compiled) or "nothing"),
        ("memory for graphs", byte_size(memory) if memory else None),
        ("seed", started.seed if started else summary.config.distill.seed),
    ]
