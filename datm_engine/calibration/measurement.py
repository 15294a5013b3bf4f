"""What experts know after each epoch, measured on their snapshots on disk.

What experts learn in a window of epochs makes it easy or hard to match. So the same images pass
through every snapshot of the first `MEASURED_EXPERTS` experts, without augmentation.

The same experts say which images are easy and which are hard, over the whole training set and not
class by class. Forgetting, counted from epoch 1 to the last one, and EL2N, measured a tenth of the
way there, are averaged over the experts. Each ranks the images, and the mean of an image's two
ranks is its difficulty. An image that is never right counts as forgotten most often, so images that
the experts do not learn are in the hard third by definition; the curves show how soon and how far
the thirds part.
"""

from __future__ import annotations

import statistics
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.memory_errors import on_cpu, oom_as_error
from datm_engine.compute.runtime import Runtime
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import FileError, Setting
from datm_engine.evaluation.baselines import forgetting
from datm_engine.experts.curriculum import el2n
from datm_engine.experts.held_out import measured_images
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import HELP
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, MeasurementProgress
from datm_engine.settings.config import Config
from datm_engine.settings.expert_measurements import MEASURED_EXPERTS, early_epoch


@dataclass(frozen=True)
class _ExpertCurves:
    """Of one expert, on the CPU, so that ranks can exchange it."""

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
    """Measure the first `MEASURED_EXPERTS` experts on disk.

    A pass takes `MOST_IMAGES` training images, drawn once, or all if there are fewer, and all
    held-out images. A forward pass costs a third of a training step by SGD, a sixth of one by GSAM:
    for a hundred experts on CIFAR-10, about a thousandth of training them.

    Experts are dealt out to ranks, and all return the same. Raises FileError if there are no
    experts or one is damaged; Stopped.
    """
    ranks = runtime.ranks
    numbers = ranks.first(lambda: experts.present(config.experts.count))[:MEASURED_EXPERTS]
    if not numbers:
        wrong = f"{experts.folder}: no experts of these settings, to measure"
        raise FileError(wrong, HELP)
    train = measured_images(data.train, config.dataset.seed)
    expert_epochs = config.distill.expert_epochs
    own, passes = ranks.deal(numbers), experts.epochs + 1
    total = len(own) * passes

    def measure(expert: int) -> _ExpertCurves:
        def before_pass(epoch: int) -> None:
            runtime.check_stop_here()
            emit(MeasurementProgress(done=own.index(expert) * passes + epoch, total=total))

        return _measure_expert(
            experts, expert, network, train, data.validation, expert_epochs, before_pass
        )

    fix = on_cpu(runtime.device, Setting("dataset.train_images", 5000))
    with oom_as_error("measuring experts", fix):
        every = ranks.map(measure, numbers)
    if own:
        emit(MeasurementProgress(done=total, total=total))
    return _mean_curves(every)


def _measure_expert(
    experts: ExpertSet,
    expert: int,
    network: FlatNetwork,
    train: ImageSet,
    held_out: ImageSet,
    expert_epochs: int,
    before_pass: Callable[[int], None],
) -> _ExpertCurves:
    """expert_epochs: M. before_pass: called with the epoch that is measured next."""
    loss, right, accuracy, step, segments = [], [], [], [], []
    before: deque[Tensor] = deque(maxlen=expert_epochs)  # the last M snapshots
    for epoch in range(experts.epochs + 1):
        before_pass(epoch)
        snapshot = experts.snapshot(expert, epoch)
        if before:
            step.append(float((snapshot - before[-1]).norm()))
        if len(before) == expert_epochs:
            segments.append(float((snapshot - before[0]).norm()))
        before.append(snapshot)
        theta = snapshot.to(train.images)
        logits = network.predict(theta, train.images)  # [images, classes]
        loss.append(float(F.cross_entropy(logits, train.labels)))
        right.append(logits.argmax(dim=1).eq(train.labels).cpu())
        if epoch == early_epoch(experts.epochs):
            error = el2n(logits, train.labels).cpu()
        if len(held_out):
            accuracy.append(network.accuracy(theta, held_out.images, held_out.labels))
    return _ExpertCurves(loss, torch.stack(right), accuracy, error, step, segments)


def _mean_curves(every: Sequence[_ExpertCurves]) -> LearningCurves:
    order = difficulty(
        _mean([forgetting(one.right[1:]) for one in every]), _mean([one.error for one in every])
    ).argsort(stable=True)  # [images], the easiest first
    third = max(1, len(order) // 3)
    right = _mean([100 * one.right.double() for one in every])  # [E + 1, images]
    return LearningCurves(
        loss=_means(one.loss for one in every),
        accuracy=tuple(right.mean(dim=1).tolist()),
        held_out=_means(one.held_out for one in every) or None,
        easy=tuple(right[:, order[:third]].mean(dim=1).tolist()),
        hard=tuple(right[:, order[-third:]].mean(dim=1).tolist()),
        step=_means(one.step for one in every),
        segments=_means(one.segments for one in every),
        experts=len(every),
        images=len(order),
    )


def _means(curves: Iterable[Sequence[float]]) -> tuple[float, ...]:
    """The mean over the curves, epoch by epoch."""
    return tuple(map(statistics.fmean, zip(*curves, strict=True)))


def difficulty(*scores: Tensor) -> Tensor:
    """[n], the mean of each image's ranks by these scores, [n] each, the lowest score first. Ranks
    give counts and real numbers the same weight; equal scores share the mean of their ranks."""
    ranks = []
    for score in scores:
        _, group, counts = score.unique(return_inverse=True, return_counts=True)
        # The mean rank, from 0 on, of each value; then that of each image.
        ranks.append((counts.cumsum(0) - (counts - 1) / 2 - 1)[group])
    return _mean(ranks)


def _mean(each: Sequence[Tensor]) -> Tensor:
    return torch.stack([one.double() for one in each]).mean(dim=0)
