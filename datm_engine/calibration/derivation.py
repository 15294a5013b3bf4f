"""Settings that follow from a dataset's own experts: measure what the rules of
`settings.derived` need, and report what they give, each value with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor

from datm_engine.calibration.measurement import measure_learning_curves
from datm_engine.distillation.initialization import initial_set
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.loop import first_checkpoint
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.train import check_epochs
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, Evaluated, SettingDerived, ignore
from datm_engine.settings.config import Config
from datm_engine.settings.derived.rates import (
    HALVINGS,
    LARGEST_FIRST_LOSS,
    InitialMatch,
    rate_settings,
    student_rate,
)
from datm_engine.settings.derived.values import RATES, WINDOW_AND_STEPS, Derived, rounded
from datm_engine.settings.derived.window_rules import Experts, window_settings

SEGMENTS = 6  # matched without a step, to measure the sizes of gradients


@dataclass(frozen=True)
class Calibrated:
    """The configuration with the derived values of [distill], and what they are derived from.

    random: percent correct of networks trained on as many random real images.
    """

    config: Config
    derived: tuple[Derived, ...]
    curves: LearningCurves
    random: float

    def facts(self) -> dict[str, Any]:
        """As run.json holds it."""
        derived = {
            f"distill.{one.key}": {"value": one.value, "reason": one.reason} for one in self.derived
        }
        return {
            "derive": [],
            "derived": derived,
            "learning_curves": asdict(self.curves),
            "random": self.random,
        }


def calibrate(
    derive: Sequence[str],
    evaluation: Evaluation,
    experts: ExpertSet,
    network: FlatNetwork,
    known: Sequence[Evaluated],
) -> Calibrated:
    """Derive the keys `derive` of [distill] for the settings and data of `evaluation`.

    known: rows of real images that are measured already. Takes a pass over some training images
    for every snapshot of two experts, networks trained on random images if there is no row of
    them, and `SEGMENTS` iterations. Raises FileError for a damaged expert; Stopped.
    """
    config, data, runtime = evaluation.config, evaluation.data, evaluation.runtime
    emit = evaluation.emit
    curves = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    calibrated = derive_window(derive, evaluation, curves, known)
    check_epochs(calibrated.config, experts)
    if not set(derive) & set(RATES):
        return calibrated
    config = calibrated.config
    settings = config.distill
    syn_lrs = [settings.syn_lr]
    if "syn_lr" in derive:
        known_experts = _measured_experts(evaluation, curves)
        expert_steps = settings.expert_epochs * known_experts.steps
        rate = student_rate(known_experts.lr, expert_steps, settings.syn_steps)
        syn_lrs = [rounded(rate / 2**halvings) for halvings in range(HALVINGS + 1)]
    match = _measure_initial_match(replace(evaluation, config=config), syn_lrs, experts, network)
    rates = rate_settings(settings.iterations, match, _fixed(config, derive))
    derived = (*calibrated.derived, *rates)
    return replace(calibrated, config=_with_values(config, rates, emit), derived=derived)


def derive_window(
    derive: Sequence[str],
    evaluation: Evaluation,
    curves: LearningCurves,
    known: Sequence[Evaluated] = (),
) -> Calibrated:
    """Derive the window, M, N and the batch, for experts with these learning curves."""
    config = evaluation.config
    rows = {(row.set, row.network): row.validation_mean for row in known}
    random = rows.get(("random", config.evaluate.networks[0]))
    if random is None:
        random = evaluation.score_random_images()
    values = window_settings(
        config.distill.ipc,
        evaluation.data.classes,
        config.distill.iterations,
        _measured_experts(evaluation, curves),
        random,
        _fixed(config, derive),
    )
    config = _with_values(config, values, evaluation.emit)
    return Calibrated(config, tuple(values), curves, random)


def _measured_experts(evaluation: Evaluation, curves: LearningCurves) -> Experts:
    """What the rules know of the experts."""
    settings = evaluation.config.experts
    return Experts(
        loss=curves.loss,
        accuracy=curves.accuracy,
        held_out=curves.held_out,
        steps=-(-len(evaluation.data.train) // settings.batch),
        lr=settings.lr,
        planned=evaluation.config.snapshot_epochs if settings.early_stop else None,
    )


def _fixed(config: Config, derive: Sequence[str]) -> dict[str, float]:
    """The keys that are not to be derived, with their values."""
    values = config.distill.model_dump()
    return {key: values[key] for key in (*WINDOW_AND_STEPS, *RATES) if key not in derive}


def _with_values(config: Config, values: Sequence[Derived], emit: Emit) -> Config:
    for one in values:
        emit(SettingDerived(key=f"distill.{one.key}", value=one.value, reason=one.reason))
    distill = {one.key: one.value for one in values}
    return config.with_values({"distill": distill}, "the derived settings")


def _measure_initial_match(
    evaluation: Evaluation, syn_lrs: Sequence[float], experts: ExpertSet, network: FlatNetwork
) -> InitialMatch:
    """Match segments over the window with each of the `syn_lrs` until the loss is below
    `LARGEST_FIRST_LOSS`, and return that match, else the one of the lowest loss. No step is taken.
    """
    config, runtime, emit = evaluation.config, evaluation.runtime, evaluation.emit
    # Its events are ignored here: the distillation emits the same ones when it begins.
    start = runtime.ranks.first(
        lambda: initial_set(config, evaluation.data, experts, network, runtime, emit=ignore)
    )
    checkpoint = first_checkpoint(start, experts)
    distillation = Distillation(config, experts, network, runtime, checkpoint)
    distillation.prepare(emit=emit)  # compiles steps of the derived batch size
    matches: list[InitialMatch] = []
    for halvings, syn_lr in enumerate(syn_lrs):
        rate = runtime.place(torch.tensor(syn_lr, dtype=torch.float64))
        distillation.learned = replace(distillation.learned, syn_lr=rate)
        measures = [
            distillation.memory_plan.retry_with_less_memory(
                partial(_measured, distillation, number), distillation.learned, emit=emit
            )
            for number in range(SEGMENTS)
        ]
        means = {name: sum(each[name] for each in measures) / SEGMENTS for name in measures[0]}
        gradients = {name: means[name] for name in vars(distillation.learned)}
        largest = max(each["loss"] for each in measures)
        matches.append(InitialMatch(syn_lr, halvings, means["loss"], largest, gradients))
        if matches[-1].loss < LARGEST_FIRST_LOSS:
            return matches[-1]
    return min(matches, key=lambda match: match.loss)


def _measured(distillation: Distillation, number: int) -> dict[str, float]:
    """Segment `number` of `SEGMENTS`: its loss, and the sizes of its gradients."""
    settings, learned = distillation.config.distill, distillation.learned
    lower, last = settings.min_start_epoch, settings.max_start_epoch - 1
    start_epoch = lower + round((last - lower) * number / (SEGMENTS - 1))
    with distillation.memory_plan.translate_oom_if_single_rank():
        segment = distillation.segments.read(
            number % distillation.config.experts.count, start_epoch
        )
        loss, gradient = distillation.match(segment, number)
    if gradient is None:  # the loss is not finite
        return {"images": 0.0, "labels": 0.0, "syn_lr": 0.0, "loss": math.inf}
    return {
        "images": _share(gradient.images, learned.images.std()),
        "labels": _share(gradient.labels, learned.labels.std()),
        "syn_lr": _share(gradient.syn_lr, learned.syn_lr),
        "loss": loss,
    }


def _share(gradient: Tensor, scale: Tensor) -> float:
    """The root mean square of a gradient relative to the scale of what it moves; 0 if that is not
    finite."""
    square = gradient.cpu().double().square()  # some devices have no float64
    share = float(square.mean().sqrt() / scale.cpu())
    return share if math.isfinite(share) else 0.0
