"""What a distillation learns: images, labels and the student's learning rate; and how they step."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.runs.events import SkipReason
from datm_engine.settings.config import DistillConfig
from datm_engine.training.optimizers import sgd_step


@dataclass(frozen=True)
class Learned:
    """The synthetic images, their labels and the student's learning rate; or, of the same shapes,
    the gradient with respect to each.

    images: [n, channels, height, width]. labels: logits [n, classes]. syn_lr: η, [].
    """

    images: Tensor
    labels: Tensor
    syn_lr: Tensor

    def map(self, function: Callable[[Tensor], Tensor]) -> Learned:
        return Learned(**{name: function(tensor) for name, tensor in vars(self).items()})


class Optimizer:
    """SGD with momentum, at a learning rate of its own for images, labels and syn_lr.

    velocities: name → velocity, of those with momentum, after their first step.
    """

    def __init__(self, settings: DistillConfig) -> None:
        lr_labels = settings.lr_labels if settings.labels == "soft" else 0.0
        self._rates = {
            "images": (settings.lr_images, settings.momentum_images),
            "labels": (lr_labels, settings.momentum_labels),
            "syn_lr": (settings.lr_lr, settings.momentum_lr),
        }
        self.velocities: dict[str, Tensor] = {}

    def step(
        self, learned: Learned, gradient: Learned
    ) -> tuple[Learned, dict[str, Tensor]] | SkipReason:
        """Return the next values and velocities, or why no step may be taken. Nothing is changed:
        images, labels and rate take a step together, or none of them does."""
        if not all(bool(torch.isfinite(g).all()) for g in vars(gradient).values()):
            return SkipReason.GRADIENT_NOT_FINITE
        stepped: dict[str, Tensor] = {}
        velocities: dict[str, Tensor] = {}
        for name, (lr, momentum) in self._rates.items():
            value, direction = getattr(learned, name), getattr(gradient, name)
            before = self.velocities.get(name)
            before = torch.zeros_like(value) if before is None else before
            stepped[name], after = sgd_step(value, direction, before, lr, momentum)
            if momentum:
                velocities[name] = after
        for name, reason in _NOT_FINITE.items():
            if not bool(torch.isfinite(stepped[name]).all()):
                return reason
        if float(stepped["syn_lr"]) <= 0:  # waits for the device, as the checks above do
            return SkipReason.RATE_NEGATIVE
        return Learned(**stepped), velocities


_NOT_FINITE: Mapping[str, SkipReason] = {
    "images": SkipReason.IMAGES_INFINITE,
    "labels": SkipReason.LABELS_INFINITE,
    "syn_lr": SkipReason.RATE_INFINITE,
}
