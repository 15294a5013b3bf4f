"""State in sentences what the accuracies of a study show, and nothing that they do not.

Two accuracies differ if they are further apart than √(s₁² + s₂²), the standard deviation of the
difference between a network of the one and a network of the other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from datm_engine.runs.events import Evaluated
from datm_engine.studies.study_results import FULL, StudyResult

CAVEAT = (
    "± is the standard deviation over networks trained on one and the same set; every set was "
    "distilled once, so what another seed of the distillation would change is not in it."
)


def findings(study: StudyResult) -> list[str]:
    """Sentences about the first network: the best variant at every ipc, real images that do as
    well, and what the study is about."""
    network, ipcs = study.plan.networks[0], study.plan.ipcs
    texts = [text for ipc in ipcs if (text := _best(study, ipc, network))]
    texts += _real_images_that_reach(study, network)
    if study.plan.kind != "window":
        texts += _lossless(study, network)
    elif len(ipcs) < 2:
        texts.append("One ipc alone does not show whether the best window moves with it.")
    else:
        # In the paper few images need early epochs, and many need late ones.
        texts.append(_is_worse(study, network, "late", "fewest", min(ipcs)))
        texts.append(_is_worse(study, network, "early", "most", max(ipcs)))
    # The accuracy of a run that took hardly a step says little about matching.
    idle = [
        f"{run.variant} at {run.ipc} per class ({run.skipped:,} of {run.iterations:,})"
        for run in study.runs
        if run.is_idle
    ]
    if idle:
        texts.append(
            "Most iterations took no step, so that the set is near what it started as: "
            f"{_joined(idle)}. distill.threshold = 1e9 takes every step, whatever the loss."
        )
    return texts


def judge(one: Evaluated, other: Evaluated) -> Literal["apart", "within", "unknown"]:
    """Whether two accuracies differ by more than the deviation of their difference. Unknown for
    rows of a single network, which have no deviation."""
    if min(one.repeats, other.repeats) < 2:
        return "unknown"
    deviation = math.hypot(one.accuracy_std, other.accuracy_std)  # √(s₁² + s₂²)
    return "apart" if abs(one.accuracy_mean - other.accuracy_mean) > deviation else "within"


def _best(study: StudyResult, ipc: int, network: str) -> str:
    rows = study.variant_rows(ipc, network)
    if not rows:
        return ""
    (name, best), *others = sorted(rows.items(), key=lambda item: -item[1].accuracy_mean)
    text = f"At {ipc} per class {name} is best, with {best.percent(1)}%"
    if len(rows) < len(study.plan.variants):
        text += f", of the {len(rows)} of {len(study.plan.variants)} that are measured"
    close = [f"{other} ({row.percent(1)})" for other, row in others if judge(best, row) == "within"]
    if close:
        text += f"; {_joined(close)} {'is' if len(close) == 1 else 'are'} within the deviation"
    if any(judge(best, row) == "unknown" for _, row in others):
        text += "; single networks have no deviation to judge this by"
    return text + "."


def _is_worse(study: StudyResult, network: str, window: str, extreme: str, ipc: int) -> str:
    """Whether the best of the other windows is better than `window`: all others are earlier than
    "late", and later than "early"."""
    claim = f"That {window} matching hurts where the images are {extreme} ({ipc} per class)"
    rows = study.variant_rows(ipc, network)
    idle = {name for name in rows if (run := study.run(name, ipc)) and run.is_idle}
    row = rows.pop(window, None)
    # A set that was hardly matched says nothing about its window, if there is another.
    candidates = {name: rows[name] for name in rows if name not in idle} or rows
    if row is None or not candidates:
        unmeasured = f"{window} is not" if row is None else "no other window is"
        return f"{claim} cannot be judged: {unmeasured} measured."
    name, best = max(candidates.items(), key=lambda item: item[1].accuracy_mean)
    figures = f"{window} {row.percent(1)}, {name} {best.percent(1)}"
    if unmoved := [name for name in (window, name) if name in idle]:
        return f"{claim} cannot be judged, as {_joined(unmoved)} took hardly a step: {figures}."
    verdict = judge(row, best)
    if verdict == "unknown":
        return f"{claim} cannot be judged from single networks: {figures}."
    if verdict == "within":
        return f"{claim} does not show: {figures}, which is within the deviation."
    if row.accuracy_mean > best.accuracy_mean:
        return f"{claim} does not show, the reverse does: {figures}."
    return f"{claim} shows: {figures}."


def _real_images_that_reach(study: StudyResult, network: str) -> list[str]:
    """Selections of real images that do as well as the best distilled set of as many images."""
    reached = []
    selections = [name for name in study.plan.selections if name != FULL]
    for ipc in study.plan.ipcs:
        rows = study.variant_rows(ipc, network).values()
        if best := max(rows, key=lambda row: row.accuracy_mean, default=None):
            measured = {name: study.row(name, ipc, network) for name in selections}
            reached += _reaching(measured, ipc, best)
    level = "the best distilled set, or above it, are as many real images"
    return [f"Within the deviation of {level}: {_joined(reached)}."] if reached else []


def _lossless(study: StudyResult, network: str) -> list[str]:
    """Distilled sets that do as well as all training images."""
    full = study.row(FULL, None, network)
    if full is None:
        return []
    reached = []
    for ipc in study.plan.ipcs:
        reached += _reaching(study.variant_rows(ipc, network), ipc, full)
    level = f"what all training images give ({full.percent(1)}%)"
    if not reached:
        return [f"No distilled set reaches {level}."]
    return [f"Within the deviation of {level}, or above it: {_joined(reached)}."]


def _reaching(rows: Mapping[str, Evaluated | None], ipc: int, level: Evaluated) -> list[str]:
    """The measured sets that are above `level` or within the deviation of it."""
    return [
        f"{name} at {ipc} per class ({row.percent(1)})"
        for name, row in rows.items()
        if row and (row.accuracy_mean >= level.accuracy_mean or judge(row, level) == "within")
    ]


def _joined(texts: list[str]) -> str:
    return texts[0] if len(texts) == 1 else f"{', '.join(texts[:-1])} and {texts[-1]}"
