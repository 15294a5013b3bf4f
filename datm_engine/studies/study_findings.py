"""What a study's figures show, in sentences. Nothing is said that they do not.

Two accuracies are apart where they differ by more than √(s₁² + s₂²), the deviation of the
difference between a network of the one and a network of the other.
"""

from __future__ import annotations

import math
from typing import Literal

from datm_engine.runs.events import Evaluated
from datm_engine.studies.study_results import FULL, Study

CAVEAT = (
    "± is the standard deviation over networks trained on one and the same set; every set was "
    "distilled once, so what another seed of the distillation would change is not in it."
)


def findings(study: Study) -> list[str]:
    """For the first network: the best at every ipc, and what the study is about."""
    network = study.networks[0]
    told = [text for ipc in study.ipcs if (text := _best(study, ipc, network))]
    told += _reached_by_real_images(study, network)
    told += _windows(study, network) if study.kind == "window" else _lossless(study, network)
    return told + _idle(study)


def judge(one: Evaluated, other: Evaluated) -> Literal["apart", "within", "unknown"]:
    """Whether two accuracies are apart, or within the deviation of their difference; single
    networks have none to judge by."""
    if min(one.repeats, other.repeats) < 2:
        return "unknown"
    deviation = math.hypot(one.accuracy_std, other.accuracy_std)
    return "apart" if abs(one.accuracy_mean - other.accuracy_mean) > deviation else "within"


def _best(study: Study, ipc: int, network: str) -> str:
    rows = [(name, row) for name in study.variants if (row := study.row(name, ipc, network))]
    if not rows:
        return ""
    (name, best), *others = sorted(rows, key=lambda pair: -pair[1].accuracy_mean)
    told = f"At {ipc} per class {name} is best, with {best.percent(1)}%"
    if len(rows) < len(study.variants):
        told += f", of the {len(rows)} of {len(study.variants)} that are measured"
    close = [f"{other} ({row.percent(1)})" for other, row in others if judge(best, row) == "within"]
    if close:
        told += f"; {_listed(close)} {'is' if len(close) == 1 else 'are'} within the deviation"
    if any(judge(best, row) == "unknown" for _, row in others):
        told += "; single networks have no deviation to judge this by"
    return told + "."


def _windows(study: Study, network: str) -> list[str]:
    """Whether late matching hurts the fewest images, and early matching the most."""
    if len(study.ipcs) < 2:
        return ["One ipc alone does not show whether the best window moves with it."]
    return [
        _hurts(study, network, "late", "fewest", min(study.ipcs)),
        _hurts(study, network, "early", "most", max(study.ipcs)),
    ]


def _hurts(study: Study, network: str, hurting: str, extreme: str, ipc: int) -> str:
    """Whether another window, which is an earlier one than late and a later one than early, is
    better: the best of them."""
    claim = f"That {hurting} matching hurts where the images are {extreme} ({ipc} per class)"
    rows = {name: row for name in study.variants if (row := study.row(name, ipc, network))}
    one = rows.pop(hurting, None)
    matched = {name: row for name, row in rows.items() if not study.is_idle(name, ipc)}
    than, other = max(
        (matched or rows).items(), key=lambda pair: pair[1].accuracy_mean, default=("", None)
    )
    if one is None or other is None:
        unmeasured = f"{hurting} is not" if one is None else "no other window is"
        return f"{claim} cannot be told: {unmeasured} measured."
    figures = f"{hurting} {one.percent(1)}, {than} {other.percent(1)}"
    if idle := [name for name in (hurting, than) if study.is_idle(name, ipc)]:
        return f"{claim} cannot be told, as {_listed(idle)} took hardly a step: {figures}."
    verdict = judge(one, other)
    if verdict == "unknown":
        return f"{claim} cannot be told from single networks: {figures}."
    if verdict == "within":
        return f"{claim} does not show: {figures}, which is within the deviation."
    if one.accuracy_mean > other.accuracy_mean:
        return f"{claim} does not show, the reverse does: {figures}."
    return f"{claim} shows: {figures}."


def _idle(study: Study) -> list[str]:
    """Which runs were hardly matched: their accuracy says little of what matching does."""
    idle = [
        f"{run.variant} at {run.ipc} per class ({run.skipped:,} of {run.iterations:,})"
        for run in study.runs
        if run.is_idle
    ]
    if not idle:
        return []
    return [
        "Most iterations took no step, so that the set is near what it started as: "
        f"{_listed(idle)}. "
        "--set distill.threshold=1e9 takes every step, whatever the loss."
    ]


def _reached_by_real_images(study: Study, network: str) -> list[str]:
    """Which selections do as well as the best of what was distilled, of as many images."""
    found = []
    for ipc in study.ipcs:
        distilled = [row for name in study.variants if (row := study.row(name, ipc, network))]
        best = max(distilled, key=lambda row: row.accuracy_mean, default=None)
        found += [
            f"{name} at {ipc} per class ({row.percent(1)})"
            for name in study.selections
            if best and name != FULL and (row := study.row(name, ipc, network))
            if _reaches(row, best)
        ]
    if not found:
        return []
    level = "Within the deviation of the best distilled set, or above it"
    return [f"{level}, are as many real images: {_listed(found)}."]


def _lossless(study: Study, network: str) -> list[str]:
    """Which distilled sets reach what training on all images does."""
    full = study.row(FULL, None, network)
    if full is None:
        return []
    reached = [
        f"{name} at {ipc} per class ({row.percent(1)})"
        for ipc in study.ipcs
        for name in study.variants
        if (row := study.row(name, ipc, network)) and _reaches(row, full)
    ]
    level = f"what all training images give ({full.percent(1)}%)"
    if not reached:
        return [f"No distilled set reaches {level}."]
    return [f"Within the deviation of {level}, or above it: {_listed(reached)}."]


def _reaches(one: Evaluated, other: Evaluated) -> bool:
    return one.accuracy_mean >= other.accuracy_mean or judge(one, other) == "within"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"
