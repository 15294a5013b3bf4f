"""The parts of a run's report that are words and numbers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from datm_cli.report.experts_page import charts
from datm_cli.report.markup import Html, html, tag
from datm_cli.report.page import facts, remark, table
from datm_cli.run_summary import SETS, RunSummary
from datm_cli.text.expert_report import ExpertReport
from datm_engine.errors import RunError
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.files import validated
from datm_engine.formatting import byte_size, duration, plural, setting, step_duration
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import TIMED_STAGES
from datm_engine.settings import presets
from datm_engine.settings.config import Config, build, differences
from datm_engine.settings.presets import APPROXIMATE

STAGE_NAMES = {
    "dataset": "loading the dataset",
    "experts": "training experts",
    "references": "testing real images",
    "distill": "distilling",
    "selection": "scoring candidates",
    "evaluate": "testing the distilled set",
}


def heading(course: RunSummary) -> Html:
    """The run's name and status, and the accuracy of its set."""
    ipc = course.config.distill.ipc
    images = f"{plural(ipc, 'image')} a class"
    words = [course.status, Path(course.config.dataset.name).name, images]
    if created := _date(course.manifest.created):
        words.append(f"begun {created}")
    is_done = course.status == "done"
    return tag(
        "header",
        tag("h1", course.run.name),
        tag("p", " · ".join(words), class_="remark"),
        None if is_done else tag("p", _status(course), class_="warning"),
        tag("p", accuracy(course)),
    )


def accuracy(course: RunSummary) -> str:
    """The accuracy of the set by the first network, in one or two sentences."""
    state = course.state
    first = course.config.evaluate.networks[0]
    tested = {row.set: row for row in state.results if row.network == first}
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
    sentence = (
        f"Networks trained on these {plural(own.images, 'image')} classify {own.percent(1)}% of "
        f"{of} correctly ({first}, {_repeats(own)})."
    )
    beside = [
        f"{SETS[name]}: {row.percent(1)}%"
        for name in ("random", "full")
        if (row := tested.get(name)) is not None
    ]
    if not beside:
        return sentence
    return f"{sentence} {beside[0][:1].upper()}{'; '.join(beside)[1:]}."


def results(course: RunSummary) -> Html | None:
    """Test accuracy of every set and network."""
    rows = course.state.results
    if not rows:
        return None
    cells = [
        [
            row.set,
            row.network,
            row.percent(),
            row.repeats,
            f"{row.images:,}",
            "" if row.iteration is None else f"{row.iteration:,}",
            duration(row.seconds) if row.seconds else "",
        ]
        for row in sorted(rows, key=lambda row: [*SETS, row.set].index(row.set))
    ]
    sets = {row.set for row in rows}
    names = "; ".join(f"{name}: {what}" for name, what in SETS.items() if name in sets)
    return html(
        remark("Mean ± standard deviation over networks trained from scratch."),
        table(
            ["set", "network", "test accuracy %", "repeats", "images", "iteration", "took"],
            cells,
            numbers=(2, 3, 4, 5, 6),
        ),
        remark(names) if names else None,
    )


def cost(course: RunSummary) -> Html:
    """Time, memory and disk used so far."""
    each, memory = course.state.seconds_per_iteration, course.state.memory
    seconds = course.state.seconds
    stages = [
        (STAGE_NAMES[name], duration(seconds[name]) if seconds[name] else None)
        for name in TIMED_STAGES
    ]
    return facts(
        [
            ("iterations", f"{course.state.iteration:,} of {course.iterations:,}"),
            ("an iteration (median)", step_duration(each) if each else None),
            *stages,
            ("all of it", duration(math.fsum(seconds.values()))),
            ("peak memory of the process", byte_size(memory) if memory else None),
            ("the run's files", byte_size(course.disk)),
        ]
    )


def experts(course: RunSummary) -> Html | None:
    """The experts' learning curves with the window, if settings were derived from them."""
    if course.manifest.learning_curves is None:
        return None
    try:
        known = validated(LearningCurves, course.manifest.learning_curves)
    except ValueError as problem:
        wrong = f"{course.run.manifest_file}: learning_curves: {problem}"
        raise RunError(wrong, course.run.list_command) from None
    knowledge = ExpertReport(course.config, "", course.config.experts.count, known)
    return html(
        tag("p", knowledge.explanation), tag("div", *charts(knowledge), class_="columns charts")
    )


def configuration(course: RunSummary) -> Html:
    """Every key of every table, with the preset's value where it differs, and with the reason where
    it was derived."""
    config, source = course.config, course.manifest.source or "not recorded"
    preset = _preset(course.manifest.presets)
    other = differences(preset, config) if preset else {}
    tables = []
    for name, keys in config.model_dump().items():
        rows: list[tuple[str, object]] = []
        for key, value in keys.items():
            changed = other.get(f"{name}.{key}")
            beside = tag("small", f" preset: {setting(changed[0])}") if changed else None
            if derived := course.manifest.derived.get(f"{name}.{key}"):
                beside = tag("small", f" {derived.reason}")
            rows.append((key, html(tag("code", setting(value)), beside)))
        tables.append(tag("div", tag("h3", f"[{name}]"), facts(rows)))
    return html(
        tag("p", "From ", tag("b", source), "."),
        remark("Where a key differs from the preset, the preset's value follows it.")
        if other
        else None,
        remark("Where a key was derived from the experts, the reason follows it.")
        if derived
        else None,
        remark(f"{APPROXIMATE[0].upper()}{APPROXIMATE[1:]}.")
        if config.distill.gradient == "tesla"
        else None,
        tag("div", *tables, class_="columns"),
    )


def environment(course: RunSummary) -> Html:
    """Versions, device and arithmetic of the run."""
    stated, arithmetic = course.manifest.environment, course.manifest.arithmetic
    compiled = [what for what, is_so in arithmetic.compiled.items() if is_so]
    memory = arithmetic.memory
    started = course.state.started
    return facts(
        [
            ("datm", started.version if started else None),
            ("torch", stated.get("torch")),
            ("Python", stated.get("python")),
            ("platform", stated.get("platform")),
            ("device", course.device),
            ("threads", arithmetic.threads),
            ("precision", arithmetic.precision),
            ("compiling", arithmetic.compile),
            ("compiled", ", ".join(compiled) or "nothing"),
            ("memory for graphs", byte_size(memory) if memory else None),
            ("seed", started.seed if started else course.config.distill.seed),
        ]
    )


def _status(course: RunSummary) -> str:
    at = f"iteration {course.state.iteration:,} of {course.iterations:,}"
    ended = course.state.ended
    if course.status == "failed" and ended is not None:
        return f"This run failed at {at}: {ended.message}. The report covers it up to there."
    if course.status == "new":
        return "This run has not started: only its settings exist."
    sentence = {
        "running": f"This run is at {at}.",
        "stopped": f"This run was stopped at {at}, and can be resumed.",
        "crashed": f"This run crashed at {at}: it recorded no end.",
        "stale": f"This run, on another machine, has reported nothing since {at}.",
    }.get(course.status, f"This run is {course.status}, at {at}.")
    return f"{sentence} The report covers it up to there."


def _date(seconds: object) -> str:
    if not isinstance(seconds, int | float):
        return ""
    try:
        return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M %Z")
    except (ValueError, OverflowError, OSError):  # out of the range of dates
        return ""


def _preset(names: Sequence[str]) -> Config | None:
    """The preset that a configuration comes from, if it is a single one of this version's."""
    if len(names) != 1 or names[0] not in presets.names():
        return None
    return build(presets.load(names[0]), names[0])


def _repeats(row: Evaluated) -> str:
    if row.repeats == 1:
        return "one of them"
    return f"mean ± standard deviation of {row.repeats}"
