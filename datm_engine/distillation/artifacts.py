"""What a distillation writes to its run directory: the checkpoint, samples, the selected set."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datm_engine.distillation.distilled_sets import set_aside
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.samples import sampled, save_sample, save_start, spacing, thin
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CheckpointSaved, Emit, SampleSaved
from datm_engine.synthetic import SyntheticSet


class ArtifactWriter:
    """Writes on the first rank, and nothing on others.

    initial: the synthetic set at iteration 0, with the metadata of all that follow.
    """

    def __init__(
        self, run: Run, distillation: Distillation, initial: SyntheticSet, *, emit: Emit
    ) -> None:
        self.run = run
        self._distillation, self._initial, self._emit = distillation, initial, emit
        self._writes = distillation.runtime.ranks.leads
        shown = sampled(initial.images, len(initial.class_names))
        self._sample_size = len(shown) * initial.images[0].numel()

    def candidate(self) -> SyntheticSet:
        """The synthetic set as it is now."""
        distilled = self._distillation.to_checkpoint().distilled
        return replace(
            self._initial,
            images=distilled["images"].float().cpu(),
            labels=distilled["labels"].float().cpu(),
            syn_lr=float(distilled["syn_lr"]),
            iteration=self._distillation.progress.iteration,
        )

    def select(self, candidate: SyntheticSet) -> None:
        if self._writes:
            candidate.save(self.run.distilled)

    def write_start(self) -> None:
        """Save the set at iteration 0, a picture of every image, and the first checkpoint."""
        if self._writes:
            set_aside(self.run)
            self.select(self._initial)
            path, initial = self.run.samples / "initial.safetensors", self._initial
            save_start(path, initial.pictures(), len(initial.class_names))
            self._emit(SampleSaved(iteration=0, path="samples/initial.safetensors"))
            self.write_checkpoint(logged=False)

    def write_checkpoint(self, *, logged: bool = True) -> None:
        """Save the state of the distillation to `run.checkpoint`. logged: emit an event."""
        if self._writes:
            self._distillation.to_checkpoint().save(self.run.checkpoint)
        if self._writes and logged:
            iteration = self._distillation.progress.iteration
            self._emit(CheckpointSaved(iteration=iteration, path=self.run.checkpoint.name))

    def sample(self) -> None:
        """Save pictures that stay, at the sample interval; a long run keeps fewer of them."""
        iteration = self._distillation.progress.iteration
        interval = self._distillation.config.distill.sample_interval
        between = spacing(interval, iteration, self._sample_size)
        if iteration % between == 0:
            self._save_pictures(self.run.samples / f"{iteration:06d}.safetensors")
            if self._writes:
                thin(self.run.samples, between)

    def preview(self) -> None:
        """Save pictures that the next preview replaces."""
        self._save_pictures(self.run.preview)

    def _save_pictures(self, path: Path) -> None:
        if self._writes:
            iteration, initial = self._distillation.progress.iteration, self._initial
            learned = self._distillation.to_checkpoint().distilled
            images, labels = learned["images"], learned["labels"]
            classes = len(initial.class_names)
            save_sample(path, images, initial.preprocessing, classes, iteration, labels)
            self._emit(SampleSaved(iteration=iteration, path=str(path.relative_to(self.run.path))))
