"""How hard each epoch of the experts is: a look at what they knew, from the snapshots on disk.

A window of epochs is easy or hard by what experts learn in it. So the same images go through every
snapshot of the first `MEASURED` experts, without augmentation, in order of epochs.

Easy and hard images are told apart by these experts themselves, over the whole training set and not
class by class: forgetting, counted from epoch 1 to the last one, and EL2N, taken a tenth of the way
there, are both averaged over the experts; each puts the images in order, equal scores in one place,
and the mean of an image's two places is its difficulty. An image that was never right counts as
forgotten without end, so that what the experts do not learn is in the hard third by definition;
how soon it parts from the easy one, and how far, is what there is to see.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.errors import FileError
from datm_engine.evaluation.baselines import forgetting
from datm_engine.experts.curriculum import early_epoch, el2n
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import command
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, MeasurementProgress
from datm_engine.settings.config import Config

MEASURED = 2  # experts: they differ in little but their draws
MOST = 5000  # training images a pass


@dataclass(frozen=True)
class _Measured:
    """One expert, on the CPU, so that it can be handed from rank to rank."""

    expert: int
    loss: list[float]  # [E + 1]
    right: Tensor  # [E + 1, images] booleans
    held_out: list[float]  # [E + 1], or empty
    error: Tensor  # EL2N, [images]
    step: list[float]  # [E]
    segments: list[float]  # [E + 1 − M]


def measure_learning_curves(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
    *,
    emit: Emit,
) -> LearningCurves:
    """What the first `MEASURED` experts on disk knew after each epoch.

    A pass takes `MOST` training images, drawn once, or all where there are fewer, and all held-out
    ones. A way forward is a third of a training step by SGD, a sixth of one by GSAM; so for a
    hundred experts on CIFAR-10 this is about a thousandth of training them, for ten on fewer images
    than `MOST` a fifteenth (SGD), beside the held-out ones.

    Experts are dealt out to ranks, and all return the same. Raises FileError where there are no
    experts, or one is damaged.
    """
    ranks = runtime.ranks
    found = ranks.first(lambda: experts.present(config.experts.count))[:MEASURED]
    if not found:
        wrong = f"{experts.folder}: no experts of these settings, to measure"
        raise FileError(wrong, command("datm", "experts", "--help"))
    train, apart = _drawn(data.train, config.dataset.seed), config.distill.expert_epochs
    own, passes = ranks.deal(found), experts.epochs + 1
    total = len(own) * passes
    measured: list[_Measured] = []

    def before_pass(epoch: int) -> None:
        runtime.check_stop_here()
        emit(MeasurementProgress(done=len(measured) * passes + epoch, total=total))

    with ranks.stopping_together():
        for expert in own:
            measured.append(
                _measure(experts, expert, network, train, data.validation, apart, before_pass)
            )
        if own:
            emit(MeasurementProgress(done=total, total=total))
    every = [one for theirs in ranks.gather(measured) for one in theirs]
    return _course(sorted(every, key=lambda one: one.expert))


def _drawn(train: Part, seed: int) -> Part:
    """At most `MOST` of the training images, each as likely as any other, in their order."""
    if len(train) <= MOST:
        return train
    order = torch.randperm(len(train), generator=generator(seed, "images of the course"))
    drawn = order[:MOST].sort().values.to(train.labels.device)
    return Part(train.images[drawn], train.labels[drawn])


def _measure(
    experts: ExpertSet,
    expert: int,
    network: FlatNetwork,
    train: Part,
    held_out: Part,
    apart: int,
    before_pass: Callable[[int], None],
) -> _Measured:
    """`before_pass` is called with the epoch that is measured next; M + 1 snapshots are in memory,
    M being `apart`."""
    loss, right, accuracy, step, segments = [], [], [], [], []
    before: deque[Tensor] = deque(maxlen=apart)
    for epoch in range(experts.epochs + 1):
        before_pass(epoch)
        snapshot = experts.snapshot(expert, epoch)
        if before:
            step.append(float((snapshot - before[-1]).norm()))
        if len(before) == apart:
            segments.append(float((snapshot - before[0]).norm()))
        before.append(snapshot)
        theta = snapshot.to(train.images)
        logits = network.predict(theta, train.images)
        loss.append(float(F.cross_entropy(logits, train.labels)))
        right.append(logits.argmax(dim=1).eq(train.labels).cpu())
        if epoch == early_epoch(experts.epochs):
            error = el2n(logits, train.labels).cpu()
        if len(held_out):
            accuracy.append(network.accuracy(theta, held_out.images, held_out.labels))
    return _Measured(expert, loss, torch.stack(right), accuracy, error, step, segments)


def _course(every: Sequence[_Measured]) -> LearningCurves:
    order = difficulty(
        _mean([forgetting(one.right[1:]) for one in every]), _mean([one.error for one in every])
    ).argsort(stable=True)
    third = max(1, len(order) // 3)
    right = _mean([100 * one.right.double() for one in every])  # [E + 1, images]
    held_out = _mean([_exact(one.held_out) for one in every])
    return LearningCurves(
        loss=_numbers(_mean([_exact(one.loss) for one in every])),
        accuracy=_numbers(right.mean(dim=1)),
        held_out=_numbers(held_out) if len(held_out) else None,
        easy=_numbers(right[:, order[:third]].mean(dim=1)),
        hard=_numbers(right[:, order[-third:]].mean(dim=1)),
        step=_numbers(_mean([_exact(one.step) for one in every])),
        segments=_numbers(_mean([_exact(one.segments) for one in every])),
        experts=len(every),
        images=len(order),
    )


def difficulty(*scores: Tensor) -> Tensor:
    """[n], the mean of each image's places by these scores, [n] each, from the lowest on; of equal
    scores the place is the middle of theirs. So what is counted weighs as much as what is real."""
    return _mean([_places(score) for score in scores])


def _places(scores: Tensor) -> Tensor:
    _, which, counts = scores.unique(return_inverse=True, return_counts=True)
    return (counts.cumsum(0) - (counts - 1) / 2 - 1)[which].double()


def _mean(each: Sequence[Tensor]) -> Tensor:
    return torch.stack([one.double() for one in each]).mean(dim=0)


def _exact(values: list[float]) -> Tensor:
    return torch.tensor(values, dtype=torch.float64)


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(values.tolist())
