"""The loop over epochs and batches that trains experts and the networks of an evaluation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from datm_engine.compute.compilation import compiled
from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import augment, draw
from datm_engine.data.image_sets import ImageSet
from datm_engine.runs.events import Emit
from datm_engine.training.optimizers import Step

# (epoch, its generator) → indices [n] of the images in the order in which they are used
Order: TypeAlias = Callable[[int, torch.Generator], Tensor]


@dataclass(frozen=True)
class Schedule:
    """epochs: their numbers. batch: images a step; the last step of an epoch may have fewer.
    decay_after: the last epoch at the full rate, if the rate falls."""

    epochs: range
    lr: float
    batch: int
    augmentation: Sequence[str] = ()
    decay_after: int | None = None

    def rate(self, epoch: int) -> float:
        decays = self.decay_after is not None and epoch > self.decay_after
        return 0.1 * self.lr if decays else self.lr


def train(
    step: Step,
    theta: Tensor,
    data: ImageSet,
    schedule: Schedule,
    draws: Callable[[int], torch.Generator],
    after_epoch: Callable[[int, Tensor, Tensor], bool | None],
    order: Order | None = None,
) -> Tensor:
    """Train from the flat weights `theta`; return the last ones.

    data: its labels are of the kind that `step` takes. draws: the generator of an epoch, for the
    order of images and their augmentation. after_epoch: called with the number of the epoch, the
    weights and the sum over batches of what `step` measures, [2] on the device; it may return True
    to end the training. order: random if None.
    """
    velocity = torch.zeros_like(theta)
    for epoch in schedule.epochs:
        if schedule.decay_after is not None and epoch == schedule.decay_after + 1:
            velocity = torch.zeros_like(theta)  # as published: a new optimizer
        rate = torch.tensor(schedule.rate(epoch), dtype=theta.dtype, device=theta.device)
        generator = draws(epoch)
        if order is None:
            indices = torch.randperm(len(data), generator=generator)
        else:
            indices = order(epoch, generator)
        batches = indices.to(theta.device).split(schedule.batch)
        sizes = [len(batch) for batch in batches]
        # All of an epoch's augmentation is drawn at once: a copy to the device for each batch
        # would have to wait.
        augmentations = draw(schedule.augmentation, sizes, generator, theta.device)
        total = torch.zeros(2, device=theta.device)
        for batch, augmentation in zip(batches, augmentations, strict=True):
            images = augment(data.images[batch], augmentation)  # [b, channels, height, width]
            theta, velocity, *measured = step(theta, velocity, rate, images, data.labels[batch])
            for measures in measured:
                total += measures  # stays on the device: nothing waits within an epoch
        if after_epoch(epoch, theta, total):
            break
    return theta


def compile_step(
    runtime: Runtime,
    name: str,
    step: Step,
    theta: Tensor,
    data: ImageSet,
    schedule: Schedule,
    epochs: int,
    *,
    emit: Emit,
) -> Step:
    """Return `step` compiled for the batch sizes of the schedule, or `step` itself where that does
    not pay.

    theta: any weights of the network. epochs: how many are trained in all. Raises OutOfMemory.
    """
    count, batch = len(data), schedule.batch
    sizes = {min(batch, count), count % batch or batch}
    rate = torch.tensor(schedule.lr, dtype=theta.dtype, device=theta.device)

    def exercise(step: Step) -> None:
        for size in sizes:
            images, labels = data.images[:size].clone(), data.labels[:size].clone()
            step(theta, torch.zeros_like(theta), rate, images, labels)

    steps = epochs * -(-count // batch)
    return compiled(
        runtime, name, step, exercise, steps // len(sizes), small_kernels=True, emit=emit
    )
