"""One iteration of distillation: match one segment of one expert, and take one step or none."""

from __future__ import annotations

import math
import time
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from datm_engine.compute.compilation import compiled, graph_size
from datm_engine.compute.out_of_memory import OutOfMemory, translate_oom
from datm_engine.compute.runtime import Runtime
from datm_engine.distillation.batches import student_steps
from datm_engine.distillation.matching import (
    MetaGradient,
    Step,
    Student,
    build_graph,
    first_matched,
    meta_gradient,
    train_student,
)
from datm_engine.distillation.segment_reader import Segment, Segments
from datm_engine.distillation.sharding import Division
from datm_engine.distillation.skip_reasons import (
    ABOVE_THRESHOLD,
    DIVERGED,
    NEGATIVE_RATE,
    NOT_FINITE,
    OVERSHOT,
)
from datm_engine.distillation.window import Window
from datm_engine.errors import DatmError, Setting
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.events import Emit, Matched, Noted
from datm_engine.settings.config import Config
from datm_engine.training.losses import Gradient, student_gradient
from datm_engine.training.optimizers import Descent


@dataclass(frozen=True)
class Match:
    """A student that was trained where an expert went, by these steps."""

    segment: Segment
    steps: list[Step]
    student: Student


class Distillation:
    """What iterations read and change: the synthetic set and the momentum of its parts. On every
    rank they are the same."""

    def __init__(
        self, config: Config, experts: ExpertSet, network: FlatNetwork, runtime: Runtime
    ) -> None:
        self.config, self.experts, self.runtime = config, experts, runtime
        self.first = first_matched(network.layout.size, config.distill.matched_share)
        mirrored = config.distill.mirrored
        self.plain_gradient = self.gradient = student_gradient(network, mirrored=mirrored)
        self.division = Division(runtime.ranks)
        # Of how many steps the graphs are kept, and of how many there has proved to be room.
        self.kept, self.room = 0, config.distill.syn_steps
        settings = config.distill
        self.window = Window(
            settings.min_start_epoch,
            settings.initial_max_start_epoch,
            settings.max_start_epoch,
            settings.expansion_iterations,
        )
        lr_labels = settings.lr_labels if settings.labels == "soft" else 0.0
        self.segments = Segments(config, self.window, experts, runtime)
        self.descents = {
            "images": Descent(settings.lr_images, settings.momentum_images),
            "labels": Descent(lr_labels, settings.momentum_labels),
            "syn_lr": Descent(settings.lr_lr, settings.momentum_lr),
        }
        self.learned: dict[str, Tensor] = {}
        self.average: Tensor | None = None  # of the images; None before the first step
        self.progress = Progress()

    def restore(self, checkpoint: Checkpoint) -> None:
        self.progress = checkpoint.progress
        self.division = Division(self.runtime.ranks, self.progress.at_once)
        self.learned = {n: self.runtime.place(t) for n, t in checkpoint.learned.items()}
        if checkpoint.average is not None:
            self.average = self.runtime.place(checkpoint.average)
        for name, velocity in checkpoint.velocities.items():
            self.descents[name].velocity = self.runtime.place(velocity)

    def checkpoint(self) -> Checkpoint:
        velocities = {
            name: descent.velocity
            for name, descent in self.descents.items()
            if descent.velocity is not None
        }
        return Checkpoint(
            self.progress, self.learned, velocities, self.experts.folder.name, self.average
        )

    def prepare(self, *, emit: Emit) -> None:
        """Compile the student's step if that pays, and see how many graphs fit the memory there
        is; where not even one does, in smaller pieces. What is learned must be there, for its
        shapes. Raises DatmError where a single image is too much."""
        while True:
            try:
                self._prepare(emit)
                ran_out = False
            except OutOfMemory:
                ran_out = True  # and what was tried is freed on leaving this block
            if not self.runtime.ranks.any(ran_out):
                return
            self._divide(emit)

    def _prepare(self, emit: Emit) -> None:
        images, labels = self.learned["images"], self.learned["labels"]
        settings, theta = self.config.distill, self.segments(self.progress.iteration).start
        steps = student_steps(self.config, len(images), 0, self.runtime)
        divided = [self.division.pieces(step) for step in steps]
        shapes = {len(piece.indices): piece for pieces in divided for piece in pieces}

        def exercise(gradient: Gradient) -> None:
            for piece in shapes.values():
                parts = images[piece.indices], labels[piece.indices]
                with torch.no_grad():
                    gradient(theta, *parts)
                graph = build_graph(gradient, theta, images, labels, piece)
                torch.autograd.grad(graph.g, graph.leaves, theta)

        repeats = settings.iterations * sum(map(len, divided)) // max(1, len(shapes))
        self.gradient = compiled(
            self.runtime, "student steps", self.plain_gradient, exercise, repeats, emit=emit
        )
        if not self.runtime.memory or not shapes:
            return
        with translate_oom():
            largest = build_graph(self.gradient, theta, images, labels, shapes[max(shapes)])
        size = graph_size(largest.g) * max(map(len, divided))
        self.kept = min(len(steps), self.room, self.runtime.memory // max(1, size))
        text = (
            f"graphs of {self.kept} of {len(steps)} student steps are kept, "
            f"{size / 1e6:,.1f} MB each, within {self.runtime.memory / 1e9:,.1f} GB (--memory)"
        )
        emit(Noted(text=text))

    def make_room(self, *, emit: Emit) -> None:
        """After an iteration that ran out of memory, so that it can be tried again: keep fewer
        graphs, or divide the batches. Raises DatmError where neither can be done."""
        if self.runtime.device.type == "cuda":
            torch.cuda.empty_cache()
        if self.runtime.ranks.any(self.kept > 0):
            self.kept = self.room = self.kept // 2
            emit(Noted(text=f"out of memory: graphs of {self.kept} student steps are kept now"))
            return
        self._divide(emit)
        self.prepare(emit=emit)

    def _divide(self, emit: Emit) -> None:
        """Into pieces of half as many images as until now."""
        batch = min(self.config.distill.batch_syn, len(self.learned["images"]))
        before = self.division.largest(batch)
        if before == 1:
            raise DatmError(
                f"out of memory: {self.runtime.description} has no room for a student step on a "
                "single image",
                Setting("distill.syn_steps", max(1, self.config.distill.syn_steps // 2))
                if self.runtime.device.type == "cpu"
                else Setting("device", "cpu"),
            )
        most = -(-before // 2)
        self.division = Division(self.runtime.ranks, most)
        self.progress = replace(self.progress, at_once=most)
        text = (
            f"out of memory: student steps' batches of {batch:,} are worked in pieces of at "
            f"most {most:,} images from here on; the gradient stays the same"
        )
        emit(Noted(text=text))

    def iterate(self) -> Matched:
        """One iteration: match one segment of one expert, and take one step or none. Raises
        OutOfMemory before anything has changed, on all ranks if on any."""
        began = time.monotonic()
        settings, iteration = self.config.distill, self.progress.iteration
        with self.noticing():
            match = self.match(self.segments(iteration), iteration)
            loss, segment = float(match.student.loss), match.segment
            if not math.isfinite(loss):
                refused = DIVERGED
            elif loss > settings.threshold:
                refused = ABOVE_THRESHOLD
            else:
                found = self.meta_gradient(match)
                refused = self._step(
                    {"images": found.images, "labels": found.labels, "syn_lr": found.syn_lr}
                )
        self.progress = replace(
            self.progress,
            iteration=iteration + 1,
            loss=loss if math.isfinite(loss) else None,
            skipped=self.progress.skipped + bool(refused),
            refusals=self.progress.refusals + 1 if refused else 0,
            refused=refused or self.progress.refused,
        )
        return Matched(
            iteration=iteration + 1,
            iterations=settings.iterations,
            loss=self.progress.loss,
            expert=segment.expert,
            start_epoch=segment.start_epoch,
            target_epoch=segment.target_epoch,
            lower=self.window.lower,
            upper=self.window.upper(iteration),
            final_upper=self.window.final_upper,
            syn_lr=float(self.learned["syn_lr"]),
            refused=refused,
            skipped=self.progress.skipped,
            seconds=time.monotonic() - began,
            memory=self.runtime.peak_memory,
            steps=match.student.steps,
        )

    def match(self, segment: Segment, iteration: int) -> Match:
        """The way forward: a student with an iteration's draws. Raises OutOfMemory."""
        images, labels, syn_lr = (self.learned[name] for name in ("images", "labels", "syn_lr"))
        steps = student_steps(self.config, len(images), iteration, self.runtime)
        given = segment.target, images, labels, syn_lr, steps
        student = train_student(
            self.gradient,
            segment.start,
            *given,
            self.kept,
            self.division,
            first=self.first,
        )
        return Match(segment, steps, student)

    def meta_gradient(self, match: Match) -> MetaGradient:
        """The way back, once for a match. Raises OutOfMemory."""
        images, labels, syn_lr = (self.learned[name] for name in ("images", "labels", "syn_lr"))
        return meta_gradient(
            self.gradient,
            match.student,
            match.segment.target,
            images,
            labels,
            syn_lr,
            match.steps,
            self.division,
            exact=self.config.distill.gradient == "exact",
        )

    def noticing(self) -> AbstractContextManager[None]:
        """Memory that runs out within is OutOfMemory, outside of a division's sums too: there one
        of several ranks cannot run out without the others waiting for it, and it is lost."""
        return translate_oom() if self.runtime.ranks.count == 1 else nullcontext()

    def _step(self, gradients: dict[str, Tensor]) -> str:
        """All three descend together, or none does; why not, if so."""
        if not all(bool(torch.isfinite(g).all()) for g in gradients.values()):
            return NOT_FINITE
        before = {name: descent.velocity for name, descent in self.descents.items()}
        is_taken = False
        try:
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
            if not refused:
                self._average(stepped["images"])
                self.learned, is_taken = stepped, True
        finally:
            if not is_taken:
                for name, velocity in before.items():
                    self.descents[name].velocity = velocity
        return refused

    def _average(self, images: Tensor) -> None:
        """Exponential moving average of the images over the steps that are taken. It begins at the
        images that the first step starts from, without a correction for that (FTD)."""
        if decay := self.config.distill.averaging:
            before = self.learned["images"] if self.average is None else self.average
            self.average = decay * before + (1 - decay) * images
