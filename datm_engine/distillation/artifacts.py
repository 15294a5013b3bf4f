"""What a distillation leaves in its run directory: the checkpoint, samples, the selected set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datm_engine.distillation.distilled_sets import set_aside
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.samples import sampled, save_sample, save_start, spacing, thin
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CheckpointSaved, Emit, SampleSaved
from datm_engine.synthetic import SyntheticSet


class Keeper:
    """Writes on the rank that leads, and nothing on others. `described`: the synthetic set as it
    started, with all that is said of it."""

    def __init__(
        self, run: Run, distillation: Distillation, described: SyntheticSet, *, emit: Emit
    ) -> None:
        self._emit = emit
        self._run, self._distillation, self._described = run, distillation, described
        self._writes = distillation.runtime.ranks.leads
        shown = sampled(described.images, len(described.class_names))
        self._sample_size = len(shown) * described.images[0].numel()

    def candidate(self) -> SyntheticSet:
        """The synthetic set as it stands."""
        distilled = self._distillation.checkpoint().distilled
        return replace(
            self._described,
            images=distilled["images"].float().cpu(),
            labels=distilled["labels"].float().cpu(),
            syn_lr=float(distilled["syn_lr"]),
            iteration=self._distillation.progress.iteration,
        )

    def select(self, candidate: SyntheticSet) -> None:
        if self._writes:
            candidate.save(self._run.distilled)

    def start(self) -> None:
        """The set at iteration 0, with a picture of every image."""
        if self._writes:
            set_aside(self._run)
        self.select(self._described)
        if self._writes:
            path, described = self._run.samples / "initial.safetensors", self._described
            save_start(path, described.pictures(), len(described.class_names))
            self._emit(SampleSaved(iteration=0, path="samples/initial.safetensors"))
        self.save()

    def save(self) -> None:
        """Save the checkpoint without an event."""
        if self._writes:
            self._distillation.checkpoint().save(self._run.checkpoint)

    def checkpoint(self) -> None:
        self.save()
        if self._writes:
            iteration = self._distillation.progress.iteration
            self._emit(CheckpointSaved(iteration=iteration, path=self._run.checkpoint.name))

    def sample(self) -> None:
        """Pictures that are kept, where they are due; a long run keeps fewer."""
        iteration = self._distillation.progress.iteration
        interval = self._distillation.config.distill.sample_interval
        between = spacing(interval, iteration, self._sample_size)
        if iteration % between == 0:
            self._pictures(self._run.samples / f"{iteration:06d}.safetensors")
            if self._writes:
                thin(self._run.samples, between)

    def preview(self) -> None:
        self._pictures(self._run.preview)

    def _pictures(self, path: Path) -> None:
        if self._writes:
            at, described = self._distillation.progress.iteration, self._described
            images = self._distillation.checkpoint().distilled["images"]
            save_sample(path, images, described.preprocessing, len(described.class_names), at)
            self._emit(SampleSaved(iteration=at, path=str(path.relative_to(self._run.path))))
