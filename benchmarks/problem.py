"""The published student and network on noise: what the benchmarks of time and memory share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from datm_engine.compute.compilation import compiled
from datm_engine.compute.runtime import Compiler, Runtime, generator
from datm_engine.data.augmentation import OPERATIONS, draw
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.matching import backpropagate, train_student
from datm_engine.distillation.sharding import WHOLE, ShardedGradients, Sharding
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.training.losses import Gradient

CLASSES = 10


def runtime(precision: str, compiling: str, device: str = "cpu") -> Runtime:
    on = Runtime(torch.device(device), compiler=Compiler(compiling))
    return on.using(precision)


def network(width: int, on: Runtime) -> FlatNetwork:
    """ConvNet of depth 3 for 32×32 colour images and ten classes."""
    module = build(
        "convnet", channels=3, size=(32, 32), classes=CLASSES, width=width, depth=3, seed=0
    )
    return FlatNetwork(module.to(on.device), on.compute)


def made_ready(
    on: Runtime,
    what: str,
    function: Callable[..., Any],
    exercise: Callable[..., object],
    small_kernels: bool = False,
) -> Callable[..., Any]:
    """The function as the engine would use it; a failed compilation is an error here."""
    faster = compiled(
        on, what, function, exercise, 1, small_kernels=small_kernels, emit=lambda event: None
    )
    if on.compiler.broken:
        raise RuntimeError(f"{what} could not be compiled")
    return faster


@dataclass(frozen=True)
class Matching:
    """One iteration's student: `steps` steps on batches of `batch` of the `images`."""

    start: Tensor
    target: Tensor
    learned: Learned
    steps: list[Step]

    def iterate(self, gradient: Gradient, kept: int = 0, sharding: Sharding = WHOLE) -> float:
        """The student and the meta-gradient, with the graphs of the last steps kept."""
        with ShardedGradients(gradient, self.learned, self.steps, sharding, kept) as gradients:
            student = train_student(gradients, self.start, self.target, len(self.steps))
            backpropagate(gradients, student)
        return float(gradients.total.syn_lr)  # waits for the device

    @classmethod
    def of(cls, net: FlatNetwork, steps: int, batch: int, images: int, on: Runtime) -> Matching:
        """Every augmentation comes up equally often, in a seeded order."""
        draws = generator(0, "problem", steps, batch, images)
        start = net.initial()
        target = start + 0.01 * torch.randn(len(start), generator=draws).to(start)
        order = torch.cat([torch.randperm(images, generator=draws) for _ in range(steps)])
        batches = order[: steps * batch].to(on.device).split(batch)
        names = list(OPERATIONS)
        augmentations = [
            draw([names[i % len(names)]], [batch], draws, on.device)[0] for i in range(steps)
        ]
        return cls(
            start,
            target,
            Learned(
                torch.randn(images, 3, 32, 32, generator=draws).to(on.device),
                torch.randn(images, CLASSES, generator=draws).to(on.device),
                torch.tensor(0.01, device=on.device),
            ),
            [Step(b, a) for b, a in zip(batches, augmentations, strict=True)],
        )
