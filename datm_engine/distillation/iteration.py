"""One iteration of distillation: match one segment of one expert, and take one step or none."""

from __future__ import annotations

import math
import time
from dataclasses import replace

import torch
from torch import Tensor

from datm_engine.checkpoint import Checkpoint, Progress
from datm_engine.config import Config
from datm_engine.data.augmentation import draw
from datm_engine.distillation.matching import Step, meta_gradient, train_student
from datm_engine.distillation.refusals import (
    ABOVE_THRESHOLD,
    DIVERGED,
    NEGATIVE_RATE,
    NOT_FINITE,
    OVERSHOT,
)
from datm_engine.distillation.window import Window, expert_for
from datm_engine.events import Matched
from datm_engine.experts.optimizers import Descent
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runtime import Runtime, generator


class Distillation:
    """What iterations read and change: the synthetic set and the momentum of its parts."""

    def __init__(
        self, config: Config, experts: ExpertSet, network: FlatNetwork, runtime: Runtime
    ) -> None:
        self.config, self.experts, self.network, self.runtime = config, experts, network, runtime
        settings = config.distill
        self.window = Window(
            settings.min_start_epoch,
            settings.initial_max_start_epoch,
            settings.max_start_epoch,
            settings.expansion_iterations,
        )
        lr_labels = settings.lr_labels if settings.labels == "soft" else 0.0
        self.descents = {
            "images": Descent(settings.lr_images, settings.momentum_images),
            "labels": Descent(lr_labels, settings.momentum_labels),
            "syn_lr": Descent(settings.lr_lr, settings.momentum_lr),
        }
        self.learned: dict[str, Tensor] = {}
        self.progress = Progress()
        self.refused = ""  # why the last iteration that took no step took none

    def restore(self, checkpoint: Checkpoint) -> None:
        self.progress = checkpoint.progress
        self.learned = {n: self.runtime.place(t) for n, t in checkpoint.learned.items()}
        for name, velocity in checkpoint.velocities.items():
            self.descents[name].velocity = self.runtime.place(velocity)

    def checkpoint(self) -> Checkpoint:
        velocities = {
            name: descent.velocity
            for name, descent in self.descents.items()
            if descent.velocity is not None
        }
        return Checkpoint(self.progress, self.learned, velocities, self.experts.folder.name)

    def iterate(self) -> Matched:
        """One iteration: match one segment of one expert, and take one step or none."""
        began = time.monotonic()
        settings, iteration = self.config.distill, self.progress.iteration
        expert = expert_for(iteration, self.config.experts.count, settings.seed)
        start_epoch = self.window.start_epoch(iteration, settings.seed)
        target_epoch = start_epoch + settings.expert_epochs
        start, target = map(
            self.runtime.place, self.experts.segment(expert, start_epoch, target_epoch)
        )
        steps = student_steps(self.config, len(self.learned["images"]), iteration, self.runtime)
        images, labels, syn_lr = (self.learned[name] for name in ("images", "labels", "syn_lr"))

        student = train_student(self.network, start, target, images, labels, syn_lr, steps)
        loss = float(student.loss)
        refused = ""
        if not math.isfinite(loss):
            refused = DIVERGED
        elif loss > settings.threshold:
            refused = ABOVE_THRESHOLD
        else:
            gradient = meta_gradient(self.network, student, target, images, labels, syn_lr, steps)
            refused = self._step(
                {"images": gradient.images, "labels": gradient.labels, "syn_lr": gradient.syn_lr}
            )
        self.refused = refused or self.refused
        self.progress = replace(
            self.progress,
            iteration=iteration + 1,
            loss=loss if math.isfinite(loss) else None,
            skipped=self.progress.skipped + bool(refused),
            refusals=self.progress.refusals + 1 if refused else 0,
        )
        return Matched(
            iteration=iteration + 1,
            iterations=settings.iterations,
            loss=self.progress.loss,
            expert=expert,
            start_epoch=start_epoch,
            target_epoch=target_epoch,
            lower=self.window.lower,
            upper=self.window.upper(iteration),
            final_upper=self.window.final_upper,
            syn_lr=float(self.learned["syn_lr"]),
            refused=refused,
            skipped=self.progress.skipped,
            seconds=time.monotonic() - began,
            memory=self.runtime.peak_memory,
        )

    def _step(self, gradients: dict[str, Tensor]) -> str:
        """All three descend together, or none does; why not, if so."""
        if not all(bool(torch.isfinite(g).all()) for g in gradients.values()):
            return NOT_FINITE
        before = {name: descent.velocity for name, descent in self.descents.items()}
        stepped = {
            name: self.descents[name].step(value, gradients[name])
            for name, value in self.learned.items()
        }
        refused = next(
            (
                why
                for name, why in OVERSHOT.items()
                if not bool(torch.isfinite(stepped[name]).all())
            ),
            NEGATIVE_RATE if float(stepped["syn_lr"]) <= 0 else "",
        )
        if refused:
            for name, velocity in before.items():
                self.descents[name].velocity = velocity
        else:
            self.learned = stepped
        return refused


def student_steps(config: Config, images: int, iteration: int, runtime: Runtime) -> list[Step]:
    """The student's N mini-batches: permutations of the synthetic set, each used up before the
    next (its last batch may be smaller), none shared by two iterations; freshly augmented."""
    settings = config.distill
    draws = generator(settings.seed, "student", iteration)
    batches: list[Tensor] = []
    while len(batches) < settings.syn_steps:
        batches += torch.randperm(images, generator=draws).split(settings.batch_syn)
    batches = batches[: settings.syn_steps]
    augmentations = draw(config.dataset.augmentation, [len(b) for b in batches], draws)
    return [
        Step(runtime.place(indices), augmentation)
        for indices, augmentation in zip(batches, augmentations, strict=True)
    ]
