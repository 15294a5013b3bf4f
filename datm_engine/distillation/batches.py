"""The mini-batches of synthetic images that a student takes its steps on."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.augmentation import Draw, draw
from datm_engine.settings.config import Config


@dataclass(frozen=True)
class Step:
    """The mini-batch of one student step, or a piece of it.

    indices: [b] into the synthetic images. draw: how they are augmented. share: the part n_j/n of
    its mini-batch that a piece is.
    """

    indices: Tensor
    draw: Draw
    share: float = 1.0


def student_steps(config: Config, images: int, iteration: int, runtime: Runtime) -> list[Step]:
    """The student's N mini-batches: permutations of the synthetic set, each used up before the
    next (its last batch may be smaller), none shared by two iterations; freshly augmented."""
    settings = config.distill
    draws = generator(settings.seed, "student", iteration)
    batches: list[Tensor] = []  # drawn on the CPU: the same on every device
    while len(batches) < settings.syn_steps:
        batches += torch.randperm(images, generator=draws).split(settings.batch_syn)
    batches = batches[: settings.syn_steps]
    sizes = [len(b) for b in batches]
    augmentations = draw(config.dataset.augmentation, sizes, draws, runtime.device)
    return [
        Step(runtime.place(indices), augmentation)
        for indices, augmentation in zip(batches, augmentations, strict=True)
    ]
