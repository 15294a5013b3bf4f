"""Settings by the data's own experts: what the rules of `datm_engine.settings.derived` ask for is
measured, and what they say is stated, each value with its reason."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from datm_engine.calibration.measurement import measure_learning_curves
from datm_engine.compute.out_of_memory import OutOfMemory
from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.loop import at_first, initial_set
from datm_engine.evaluation.evaluate import Evaluation
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, Evaluated, SettingDerived
from datm_engine.settings.config import Config, build, overlay
from datm_engine.settings.derived.rates import FITTING, HALVINGS, rates_for, student_rate
from datm_engine.settings.derived.values import ALIGNED, RATES, Derived, rounded
from datm_engine.settings.derived.window_rules import Experts, aligned
from datm_engine.synthetic import SyntheticSet

SEGMENTS = 6  # matched without a step being taken, for the sizes of the gradients


@dataclass(frozen=True)
class Settled:
    """The configuration with what was derived for [distill], and what it was derived from."""

    config: Config
    derived: tuple[Derived, ...]
    course: LearningCurves
    random: float | None  # percent, of networks trained on as many real images

    def facts(self) -> dict[str, Any]:
        """As run.json keeps it."""
        derived = {
            f"distill.{one.key}": {"value": one.value, "reason": one.reason} for one in self.derived
        }
        return {
            "derive": [],
            "derived": derived,
            "course": self.course.facts(),
            "random": self.random,
        }


def settle_by_experts(
    derive: Sequence[str],
    evaluation: Evaluation,
    experts: ExpertSet,
    network: FlatNetwork,
    known: Sequence[Evaluated],
) -> Settled:
    """Derive the keys `derive` of [distill], for the configuration, the data and the device that
    `evaluation` has.

    known: rows of real images that are measured already. Takes a pass over some training images
    for every snapshot of two experts, networks trained on real images where there is no row of
    them, and `SEGMENTS` iterations. Raises FileError for a damaged expert.
    """
    config, data, runtime = evaluation.config, evaluation.data, evaluation.runtime
    emit = evaluation.emit
    course = measure_learning_curves(config, data, experts, network, runtime, emit=emit)
    aligned = align(derive, evaluation, course, known)
    config, told = aligned.config, aligned.derived
    if set(derive) & set(RATES):
        syn_lrs = _syn_lrs(config, derive, _learned(config, data, course))
        matched = _matched(config, syn_lrs, data, experts, network, runtime, emit=emit)
        rates = rates_for(
            config.distill.iterations,
            matched.syn_lr,
            matched.halvings,
            matched.steps,
            matched.largest,
            _held(config, derive),
        )
        config, told = _with(config, rates), (*told, *rates)
        _state(rates, emit)
    return Settled(config, told, course, aligned.random)


def align(
    derive: Sequence[str],
    evaluation: Evaluation,
    course: LearningCurves,
    known: Sequence[Evaluated] = (),
) -> Settled:
    """The first half of it: the window, M, N and the batch, for experts of such a course."""
    config, data = evaluation.config, evaluation.data
    random = _random(evaluation, known)
    settings = config.distill
    told = aligned(
        settings.ipc,
        data.classes,
        settings.iterations,
        _learned(config, data, course),
        random,
        _held(config, derive),
    )
    _state(told, evaluation.emit)
    return Settled(_with(config, told), tuple(told), course, random)


def _learned(config: Config, data: PreparedData, course: LearningCurves) -> Experts:
    return Experts(
        loss=course.loss,
        accuracy=course.accuracy,
        held_out=course.held_out,
        steps=-(-len(data.train) // config.experts.batch),
        lr=config.experts.lr,
    )


def _syn_lrs(config: Config, derive: Sequence[str], learned: Experts) -> list[float]:
    """The rates η to try, the largest first; the one that is stated, if one is."""
    settings = config.distill
    if "syn_lr" not in derive:
        return [settings.syn_lr]
    steps = settings.expert_epochs * learned.steps
    rate = student_rate(learned.lr, steps, settings.syn_steps)
    return [rounded(rate / 2**halvings) for halvings in range(HALVINGS + 1)]


def _random(evaluation: Evaluation, known: Sequence[Evaluated]) -> float:
    """Percent of the held-out images, or without any of the training images."""
    network = evaluation.config.evaluate.networks[0]
    for row in known:
        if (row.set, row.network) == ("random", network) and row.validation_mean is not None:
            return row.validation_mean
    return evaluation.score_random_images()


def _held(config: Config, derive: Sequence[str]) -> dict[str, float]:
    """The keys that are stated, with their values."""
    stated = config.distill.model_dump()
    return {key: stated[key] for key in (*ALIGNED, *RATES) if key not in derive}


def _with(config: Config, told: Sequence[Derived]) -> Config:
    distill = {one.key: one.value for one in told}
    return build(overlay(config.model_dump(), {"distill": distill}), "the derived settings")


def _state(told: Sequence[Derived], emit: Emit) -> None:
    for one in told:
        emit(SettingDerived(key=f"distill.{one.key}", value=one.value, reason=one.reason))


@dataclass(frozen=True)
class _Matched:
    """How segments of the window are matched at η = `syn_lr`, in the mean: the loss, and how far a
    rate of 1 moves images, labels and η, as shares of their size."""

    syn_lr: float
    halvings: int
    loss: float
    largest: float  # loss of a segment
    steps: dict[str, float]


def _matched(
    config: Config,
    syn_lrs: Sequence[float],
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
    *,
    emit: Emit,
) -> _Matched:
    """At the first of the `syn_lrs` at which the loss begins below `FITTING`, or else at that of
    the lowest loss. Start epochs are spread evenly over the window, and no step is taken."""
    start = runtime.ranks.first(lambda: _start(config, data, experts, network, runtime))
    distillation = Distillation(config, experts, network, runtime)
    distillation.restore(at_first(start, experts))
    distillation.prepare(emit=emit)
    tried: list[_Matched] = []
    for halvings, syn_lr in enumerate(syn_lrs):
        distillation.learned["syn_lr"] = runtime.place(torch.tensor(syn_lr, dtype=torch.float64))
        found: list[dict[str, float]] = []
        while len(found) < SEGMENTS:
            try:
                found.append(_measured(distillation, len(found)))
                ran_out = False
            except OutOfMemory:
                ran_out = True  # and what was tried is freed on leaving this block
            if ran_out:
                distillation.make_room(emit=emit)
        means = {name: sum(one[name] for one in found) / SEGMENTS for name in found[0]}
        steps = {name: means[name] for name in distillation.learned}
        largest = max(one["loss"] for one in found)
        tried.append(_Matched(syn_lr, halvings, means["loss"], largest, steps))
        if tried[-1].loss < FITTING:
            return tried[-1]
    return min(tried, key=lambda one: one.loss)


def _start(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
) -> SyntheticSet:
    """The synthetic set at iteration 0. What is told of it is told when the distillation begins."""
    return initial_set(config, data, experts, network, runtime, emit=lambda event: None)


def _measured(distillation: Distillation, number: int) -> dict[str, float]:
    settings, learned = distillation.config.distill, distillation.learned
    lower, last = settings.min_start_epoch, settings.max_start_epoch - 1
    start_epoch = lower + round((last - lower) * number / (SEGMENTS - 1))
    with distillation.noticing():
        segment = distillation.segments.of(number % distillation.config.experts.count, start_epoch)
        match = distillation.match(segment, number)
        gradient = distillation.meta_gradient(match)
    loss = float(match.student.loss)
    return {
        "images": _share(gradient.images, learned["images"].std()),
        "labels": _share(gradient.labels, learned["labels"].std()),
        "syn_lr": _share(gradient.syn_lr, learned["syn_lr"]),
        "loss": loss if math.isfinite(loss) else math.inf,
    }


def _share(gradient: Tensor, size: Tensor) -> float:
    """The root mean square of a gradient beside the size of what it moves; 0 where that is not a
    number, and nothing can be learned from it."""
    square = gradient.cpu().double().square()  # some devices have no float64
    share = float(square.mean().sqrt() / size.cpu())
    return share if math.isfinite(share) else 0.0
