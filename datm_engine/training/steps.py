"""The steps of experts, an epoch of them, and what they cost."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import augment, draw
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.errors import DatmError
from datm_engine.networks.gradients import gradient_of
from datm_engine.networks.weights import FlatNetwork
from datm_engine.settings.config import Config, ExpertsConfig
from datm_engine.training.optimizers import gsam_direction, sgd_step

# (θ, velocity, images, labels) → the next θ and velocity, and what was measured
ExpertStep: TypeAlias = Callable[[Tensor, Tensor, Tensor, Tensor], tuple[Tensor, Tensor, Tensor]]


def expert_step(network: FlatNetwork, settings: ExpertsConfig) -> ExpertStep:
    """One step on a batch as it was augmented; measured are [sum of the losses, number classified
    correctly]. Nothing in it waits for the device."""

    def loss(theta: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        logits = network(theta, images)
        mean = F.cross_entropy(logits, labels)
        right = (logits.argmax(dim=1) == labels).sum()
        return mean, torch.stack([mean * len(labels), right.to(mean)]).detach().float()

    both = gradient_of(loss)

    def step(
        theta: Tensor, velocity: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        measured: list[Tensor] = []

        def gradient(at: Tensor) -> Tensor:
            g, of_batch = both(at, images, labels)
            measured.append(of_batch)
            return g

        if settings.optimizer == "gsam":
            direction = gsam_direction(theta, gradient, rho=settings.rho, alpha=settings.alpha)
        else:
            direction = gradient(theta)
        rates = settings.lr, settings.momentum, settings.weight_decay
        return *sgd_step(theta, direction, velocity, *rates), measured[0]

    return step


def train_epoch(
    step: ExpertStep,
    theta: Tensor,
    velocity: Tensor,
    train: Part,
    order: Tensor,
    config: Config,
    draws: torch.Generator,
) -> tuple[Tensor, Tensor, float, float]:
    """One step on each batch of the images that `order` [n] names, one after the other, freshly
    augmented: the next θ and velocity, the mean loss, and the share classified correctly."""
    batches = order.to(theta.device).split(config.experts.batch)
    sizes = [len(b) for b in batches]
    augmentations = draw(config.dataset.augmentation, sizes, draws, theta.device)
    totals = torch.zeros(2, device=theta.device)
    for indices, augmentation in zip(batches, augmentations, strict=True):
        images = augment(train.images[indices], augmentation)
        theta, velocity, measured = step(theta, velocity, images, train.labels[indices])
        totals += measured
    loss, right = (totals / len(order)).tolist()  # the epoch's one synchronisation
    return theta, velocity, loss, right


def check_finite(value: float, who: str, epoch: int, lr: float, what: str = "loss") -> None:
    """Raises DatmError for a mean loss, or another value, that no training goes on from."""
    if not math.isfinite(value):
        raise DatmError(
            f"{who} diverged in epoch {epoch}: its {what} is {value}",
            f"--set experts.lr={lr / 2:g}",
        )


def exercise_for(
    config: Config, data: PreparedData, network: FlatNetwork, experts: int
) -> tuple[Callable[[ExpertStep], None], int]:
    """One step of every batch size that there is; and how often that comes to all steps."""
    images, labels, batch = data.train.images, data.train.labels, config.experts.batch
    theta = network.initial()
    sizes = {min(batch, len(images)), len(images) % batch or batch}
    steps = experts * config.snapshot_epochs * -(-len(images) // batch)

    def exercise(step: ExpertStep) -> None:
        for size in sizes:
            step(theta, torch.zeros_like(theta), images[:size].clone(), labels[:size].clone())

    return exercise, steps // len(sizes)


def seconds_of_an_epoch(
    config: Config, data: PreparedData, network: FlatNetwork, step: ExpertStep
) -> float:
    """Measured by a few steps at full batch size."""
    batch = min(config.experts.batch, len(data.train))
    draws = generator(0, "calibration")
    theta = network.initial()
    velocity = torch.zeros_like(theta)
    images, labels = data.train.images[:batch], data.train.labels[:batch]
    augmentations = draw(config.dataset.augmentation, [batch] * 4, draws, theta.device)
    began = 0.0
    for i, augmentation in enumerate(augmentations):
        if i == 1:  # the first step warms up
            began = time.monotonic()
        theta, velocity, _ = step(theta, velocity, augment(images, augmentation), labels)
        float(theta[0])  # waits for the device
    a_step = (time.monotonic() - began) / (len(augmentations) - 1)
    return a_step * len(data.train) / batch
