"""The distillation stage: learn images, labels and the student's rate by matching trajectories."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.artifacts import ArtifactWriter
from datm_engine.distillation.distilled_sets import read_selected
from datm_engine.distillation.initialization import initial_set
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.skip_reasons import suggested_setting
from datm_engine.errors import FileError, MatchingError, Stopped
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import command
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.settings.presets import APPROXIMATE
from datm_engine.synthetic import SyntheticSet

PREVIEW_SECONDS = 10.0  # between previews

Score = Callable[[SyntheticSet], float]


def distill(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    run: Run,
    runtime: Runtime,
    score: Score,
    *,
    emit: Emit,
) -> Progress:
    """Iterate until done, continuing from the run's checkpoint if it has one.

    score: trains networks on a candidate and returns their accuracy; the best candidate is saved
    as `run.distilled`. Raises MatchingError when no iteration takes a step any more, and Stopped
    after saving a checkpoint.
    """
    # The first rank reads or makes what the run begins with, for all.
    initial, checkpoint = runtime.ranks.first(
        lambda: (
            _resume(run)
            if run.checkpoint.exists()
            else (initial_set(config, data, experts, network, runtime, emit=emit), None)
        )
    )
    distillation = Distillation(
        config, experts, network, runtime, checkpoint or first_checkpoint(initial, experts)
    )
    writer = ArtifactWriter(run, distillation, initial, emit=emit)
    if checkpoint is None:
        writer.write_start()
    if config.distill.gradient == "tesla":
        emit(Noted(text=APPROXIMATE))
    distillation.prepare(emit=emit)
    try:
        _iterate(distillation, writer, score, emit=emit)
    except Stopped:
        _finish(distillation, writer, emit=emit)
        raise
    _finish(distillation, writer, emit=emit)
    return distillation.progress


def _finish(distillation: Distillation, writer: ArtifactWriter, *, emit: Emit) -> None:
    writer.write_checkpoint()
    writer.preview()
    progress = distillation.progress
    if progress.skipped:
        text = f"{progress.skipped:,} of {progress.iteration:,} iterations took no step"
        emit(Noted(text=text))


def _iterate(
    distillation: Distillation, writer: ArtifactWriter, score: Score, *, emit: Emit
) -> None:
    """Iterate up to the last iteration. Raises MatchingError and Stopped."""
    config, runtime = distillation.config, distillation.runtime
    settings = config.distill
    saved = time.monotonic()
    previewed = saved - PREVIEW_SECONDS
    while True:
        runtime.check_stop()
        progress = distillation.progress
        is_last = progress.iteration >= settings.iterations
        is_due = progress.iteration % config.evaluate.selection_interval == 0 or is_last
        if is_due and progress.last_candidate < progress.iteration:
            distillation.progress = _score_and_keep_best(distillation, writer, score, emit=emit)
        if is_last:
            # If no iteration took a step, nothing was learned: the run ends with an error.
            if progress.iteration and progress.skipped == progress.iteration:
                writer.write_checkpoint(logged=False)
                raise _no_step_error(distillation, writer.run)
            return
        emit(distillation.iterate(emit=emit))
        writer.sample()
        if time.monotonic() - previewed >= PREVIEW_SECONDS:
            writer.preview()
            previewed = time.monotonic()
        if distillation.progress.skipped_in_a_row >= settings.max_skips_in_a_row:
            writer.write_checkpoint(logged=False)
            raise _no_step_error(distillation, writer.run)
        # No rank waits for another here: the first one writes alone.
        if runtime.save_now() or time.monotonic() - saved >= settings.checkpoint_seconds:
            writer.write_checkpoint()
            saved = time.monotonic()


def first_checkpoint(initial: SyntheticSet, experts: ExpertSet) -> Checkpoint:
    """The checkpoint that a distillation from this set begins with."""
    learned = {
        "images": initial.images,
        "labels": initial.labels,
        "syn_lr": torch.tensor(initial.syn_lr, dtype=torch.float64),
    }
    return Checkpoint(Progress(), learned, {}, experts.folder.name)


def _resume(run: Run) -> tuple[SyntheticSet, Checkpoint]:
    """Read the selected set, whose metadata every candidate shares, and the checkpoint. Raises
    FileError for one that is damaged or of another run."""
    checkpoint, initial = Checkpoint.load(run.checkpoint), read_selected(run)
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.learned.items()}
    if shapes["images"] != initial.images.shape or shapes["labels"] != initial.labels.shape:
        wrong = f"{run.checkpoint} is of another run: its images are {list(shapes['images'])}"
        raise FileError(wrong, command("mv", run.checkpoint, f"{run.checkpoint}.aside"))
    return initial, checkpoint


def _score_and_keep_best(
    distillation: Distillation, writer: ArtifactWriter, score: Score, *, emit: Emit
) -> Progress:
    """Score the set, and save it as `run.distilled` if it is the best so far by the selection rule.
    Return the progress with the new score."""
    config, candidate = distillation.config, writer.candidate()
    progress = replace(distillation.progress, last_candidate=candidate.iteration)
    rule = config.evaluate.selection
    if rule == "last":
        if candidate.iteration == config.distill.iterations:
            writer.select(candidate)
        return progress
    accuracy = score(candidate)
    is_best = progress.best_accuracy is None or accuracy > progress.best_accuracy
    if is_best:
        writer.select(candidate)
        progress = replace(progress, best_accuracy=accuracy)
    emit(
        CandidateScored(
            iteration=candidate.iteration,
            part=rule,
            accuracy=accuracy,
            images=len(candidate.images),
            best=is_best,
        )
    )
    return progress


def _no_step_error(distillation: Distillation, run: Run) -> MatchingError:
    settings, progress = distillation.config.distill, distillation.progress
    reason = progress.skip_reason
    assert reason is not None  # the latest iterations were skipped
    return MatchingError(
        f"run {run.name}: no step was taken in the last {progress.skipped_in_a_row} iterations: "
        f"{reason.sentence} (loss {progress.loss}, threshold {settings.threshold:g})",
        suggested_setting(reason, settings, distillation.learned, progress.loss),
    )
