"""One iteration of distillation: match one segment of one expert, and take one step or none."""

from __future__ import annotations

import math
import time
from dataclasses import replace

from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.distillation.batches import student_steps
from datm_engine.distillation.learned import Learned, Optimizer
from datm_engine.distillation.matching import backpropagate, deepest_weights, train_student
from datm_engine.distillation.out_of_memory import MemoryPlan
from datm_engine.distillation.segment_reader import Segment, Segments
from datm_engine.distillation.window import Window
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint
from datm_engine.runs.events import Emit, Matched, SkipReason
from datm_engine.settings.config import Config


class Distillation:
    """The state that iterations read and change, restored from a checkpoint. It is the same on
    every rank.

    learned: images, labels and rate. average: of the images; None before the first step.
    """

    def __init__(
        self,
        config: Config,
        experts: ExpertSet,
        network: FlatNetwork,
        runtime: Runtime,
        checkpoint: Checkpoint,
    ) -> None:
        settings = config.distill
        self.config, self.experts, self.runtime = config, experts, runtime
        self.progress = checkpoint.progress
        self.memory_plan = MemoryPlan(config, network, runtime, self.progress.piece_size)
        self.matched_weights = deepest_weights(network.layout.size, settings.matched_share)
        self.window = Window(
            lower=settings.min_start_epoch,
            initial_upper=settings.initial_max_start_epoch,
            final_upper=settings.max_start_epoch,
            expansion_iterations=settings.expansion_iterations,
        )
        self.segments = Segments(config, self.window, experts, runtime)
        self.learned = Learned(**checkpoint.learned).map(runtime.place)
        self.optimizer = Optimizer(settings)
        self.optimizer.velocities = {n: runtime.place(v) for n, v in checkpoint.velocities.items()}
        average = checkpoint.average
        self.average: Tensor | None = None if average is None else runtime.place(average)

    def to_checkpoint(self) -> Checkpoint:
        return Checkpoint(
            replace(self.progress, piece_size=self.memory_plan.piece_size),
            dict(vars(self.learned)),
            self.optimizer.velocities,
            self.experts.folder.name,
            self.average,
        )

    def prepare(self, *, emit: Emit) -> None:
        """Fit the student steps into memory. Raises DatmError where that is not possible."""
        self.memory_plan.prepare(self.learned, emit=emit)

    def iterate(self, *, emit: Emit) -> Matched:
        """Match one segment of one expert, and take one step or none; again with less memory where
        memory runs out. Raises DatmError where no less can be used."""
        return self.memory_plan.retry_with_less_memory(self._iterate, self.learned, emit=emit)

    def _iterate(self) -> Matched:
        """Raises OutOfMemory before anything has changed, on all ranks if on any."""
        began = time.monotonic()
        settings, iteration = self.config.distill, self.progress.iteration
        with self.memory_plan.translate_oom_if_single_rank():
            segment = self.segments(iteration)
            loss, gradient = self.match(segment, iteration, settings.threshold)
            if not math.isfinite(loss):
                skip_reason: SkipReason | None = SkipReason.LOSS_NOT_FINITE
            elif gradient is None:
                skip_reason = SkipReason.LOSS_ABOVE_THRESHOLD
            else:
                skip_reason = self._step(gradient)
        self.progress = replace(
            self.progress,
            iteration=iteration + 1,
            loss=loss if math.isfinite(loss) else None,
            skipped=self.progress.skipped + (skip_reason is not None),
            skipped_in_a_row=self.progress.skipped_in_a_row + 1 if skip_reason else 0,
            skip_reason=skip_reason or self.progress.skip_reason,
        )
        return Matched(
            iteration=iteration + 1,
            iterations=settings.iterations,
            loss=self.progress.loss,
            expert=segment.expert,
            start_epoch=segment.start_epoch,
            target_epoch=segment.target_epoch,
            lower=self.window.lower,
            upper=self.window.upper_at(iteration),
            final_upper=self.window.final_upper,
            syn_lr=float(self.learned.syn_lr),
            skip_reason=skip_reason,
            skipped=self.progress.skipped,
            seconds=time.monotonic() - began,
            memory=self.runtime.peak_memory,
        )

    def match(
        self, segment: Segment, iteration: int, threshold: float = math.inf
    ) -> tuple[float, Learned | None]:
        """Train a student with the draws of an iteration. Return the matching loss, and its
        gradient unless the loss is above `threshold` or not finite. Raises OutOfMemory."""
        settings = self.config.distill
        steps = student_steps(self.config, len(self.learned.images), iteration, self.runtime)
        with self.memory_plan.gradients(self.learned, steps) as gradients:
            student = train_student(
                gradients, segment.start, segment.target, len(steps), self.matched_weights
            )
            gradients.check_memory()
            loss = float(student.loss)  # waits for the device
            is_used = math.isfinite(loss) and loss <= threshold
            if is_used:
                is_exact = settings.gradient == "exact"
                backpropagate(gradients, student, through_weights=is_exact)
        return loss, gradients.total if is_used else None

    def _step(self, gradient: Learned) -> SkipReason | None:
        """Take a step, or return why none may be taken."""
        stepped = self.optimizer.step(self.learned, gradient)
        if isinstance(stepped, SkipReason):
            return stepped
        learned, velocities = stepped
        average = self.average
        if decay := self.config.distill.averaging:
            # The exponential moving average starts at the images before the first step; without a
            # correction of that bias, as in FTD.
            before = self.learned.images if average is None else average
            average = decay * before + (1 - decay) * learned.images
        # Only now, when nothing can run out of memory any more.
        self.learned, self.optimizer.velocities, self.average = learned, velocities, average
        return None
