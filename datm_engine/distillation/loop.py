"""The second stage: learn images, labels and the student's rate by matching trajectories."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import Tensor

from datm_engine.compute.out_of_memory import OutOfMemory
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.artifacts import Keeper
from datm_engine.distillation.distilled_sets import read_selected
from datm_engine.distillation.initialization import (
    Selection,
    averaged_logits,
    correct_images,
    random_images,
)
from datm_engine.distillation.iteration import Distillation
from datm_engine.distillation.skip_reasons import change_for
from datm_engine.errors import FileError, MatchingError, Stopped
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import command
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.directory import Run
from datm_engine.runs.events import CandidateScored, ClassesFilledUp, Emit, Initialized, Noted
from datm_engine.settings.config import Config
from datm_engine.settings.presets import APPROXIMATE
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.losses import hard_labels

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

    `score` trains networks on a candidate and gives its accuracy; the best one is kept in
    `run.distilled`. Raises MatchingError when every step of a long row was refused, and Stopped
    after saving a checkpoint.
    """
    settings = config.distill
    distillation = Distillation(config, experts, network, runtime)
    described, checkpoint = _begin(config, data, experts, network, run, runtime, emit=emit)
    distillation.restore(checkpoint or at_first(described, experts))
    keeper = Keeper(run, distillation, described, emit=emit)
    if checkpoint is None:
        keeper.start()
    if settings.gradient == "tesla":
        emit(Noted(text=APPROXIMATE))
    distillation.prepare(emit=emit)
    try:
        _iterate(distillation, keeper, run, score, emit=emit)
    except Stopped:
        _finish(distillation, keeper, emit=emit)
        raise
    _finish(distillation, keeper, emit=emit)
    return distillation.progress


def _finish(distillation: Distillation, keeper: Keeper, *, emit: Emit) -> None:
    keeper.checkpoint()
    keeper.preview()
    progress = distillation.progress
    if progress.skipped:
        text = f"{progress.skipped:,} of {progress.iteration:,} iterations took no step"
        emit(Noted(text=text))


def _iterate(
    distillation: Distillation, keeper: Keeper, run: Run, score: Score, *, emit: Emit
) -> None:
    config, runtime = distillation.config, distillation.runtime
    settings = config.distill
    saved = time.monotonic()
    previewed = saved - PREVIEW_SECONDS
    while True:
        runtime.check_stop()
        iteration = distillation.progress.iteration
        last = iteration >= settings.iterations
        due = iteration > 0 and (last or iteration % config.evaluate.selection_interval == 0)
        if due and distillation.progress.considered < iteration:
            distillation.progress = _consider(
                config, keeper, distillation.progress, score, emit=emit
            )
        if last:
            _give_up_if_idle(config, distillation, keeper, run)
            return
        try:
            matched = distillation.iterate()
        except OutOfMemory:
            matched = None  # what was tried is freed on leaving this block
        if matched is None:
            distillation.make_room(emit=emit)
            continue
        emit(matched)
        keeper.sample()
        if time.monotonic() - previewed >= PREVIEW_SECONDS:
            keeper.preview()
            previewed = time.monotonic()
        _give_up_if_stuck(config, distillation, matched.refused, keeper, run)
        if runtime.save_now() or time.monotonic() - saved >= settings.checkpoint_seconds:
            keeper.checkpoint()
            saved = time.monotonic()


def _begin(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    run: Run,
    runtime: Runtime,
    *,
    emit: Emit,
) -> tuple[SyntheticSet, Checkpoint | None]:
    """The initial or the selected set, and the checkpoint of a run that resumes. The first rank
    reads or makes them for all."""
    begun: tuple[SyntheticSet, Checkpoint | None] | None = None
    if runtime.ranks.leads and run.checkpoint.exists():
        begun = _resume(run)
    elif runtime.ranks.leads:
        begun = initial_set(config, data, experts, network, runtime, emit=emit), None
    shared = runtime.ranks.first(lambda: begun)
    assert shared is not None
    return shared


def at_first(described: SyntheticSet, experts: ExpertSet) -> Checkpoint:
    """The checkpoint that a distillation from this set begins with."""
    learned = {
        "images": described.images,
        "labels": described.labels,
        "syn_lr": torch.tensor(described.syn_lr, dtype=torch.float64),
    }
    return Checkpoint(Progress(), learned, {}, experts.folder.name)


def _resume(run: Run) -> tuple[SyntheticSet, Checkpoint]:
    """The selected set, which states what all candidates have in common, and the checkpoint. Raises
    FileError for one that is damaged or of another run."""
    checkpoint, described = Checkpoint.load(run.checkpoint), read_selected(run)
    shapes = {name: tuple(tensor.shape) for name, tensor in checkpoint.learned.items()}
    if shapes["images"] != described.images.shape or shapes["labels"] != described.labels.shape:
        wrong = f"{run.checkpoint} is of another run: its images are {list(shapes['images'])}"
        raise FileError(wrong, command("mv", run.checkpoint, f"{run.checkpoint}.aside"))
    return described, checkpoint


def initial_set(
    config: Config,
    data: PreparedData,
    experts: ExpertSet,
    network: FlatNetwork,
    runtime: Runtime,
    *,
    emit: Emit,
) -> SyntheticSet:
    """The synthetic set at iteration 0. Every class must have at least ipc images."""
    settings, train = config.distill, data.train
    ipc, seed, classes = settings.ipc, settings.seed, data.classes

    def last_snapshots(count: int) -> Iterator[Tensor]:
        return (runtime.place(experts.snapshot(k, experts.epochs)) for k in range(count))

    count = config.experts.count
    if settings.images == "random":
        chosen = random_images(train.labels, classes, ipc, seed)
    else:
        chosen = correct_images(
            network, last_snapshots(count), train.images, train.labels, classes, ipc, seed
        )
    _report_filled_up(chosen, data, ipc, emit=emit)
    indices = chosen.indices.to(runtime.device)
    images = train.images[indices]
    labelled_by = 1 if settings.label_experts == "one" else count
    if settings.labels == "hard":
        labels, label_source = hard_labels(train.labels[indices], classes), "one-hot, fixed"
    else:
        snapshots = last_snapshots(labelled_by)
        labels = averaged_logits(network, snapshots, images, train.labels[indices])
        who = "one expert" if labelled_by == 1 else f"{labelled_by} experts"
        label_source = f"logits of {who} at epoch {experts.epochs}"
    image_source = {
        "correct": "real images that experts classify correctly",
        "random": "random real images",
        "noise": "noise, labelled as the real images in its place would be",
    }[settings.images]
    if settings.images == "noise":
        images = torch.randn(images.shape, generator=generator(seed, "noise"))
    emit(Initialized(images=len(images), image_source=image_source, label_source=label_source))
    return SyntheticSet(
        images=images.float().cpu(),
        labels=labels.float().cpu(),
        syn_lr=settings.syn_lr,
        preprocessing=data.preprocessing,
        dataset=config.dataset.name,
        class_names=data.class_names,
        iteration=0,
        augmentation=tuple(config.dataset.augmentation),
        config=config.model_dump(),
    )


def _report_filled_up(chosen: Selection, data: PreparedData, ipc: int, *, emit: Emit) -> None:
    counts = zip(data.class_names, chosen.qualified, strict=True)
    short = [f"{name} {qualified}" for name, qualified in counts if qualified < ipc]
    if short:
        names = ", ".join(short)
        emit(ClassesFilledUp(classes=len(short), of=data.classes, wanted=ipc, names=names))


def _consider(
    config: Config, keeper: Keeper, progress: Progress, score: Score, *, emit: Emit
) -> Progress:
    """Keep the set as it stands in `run.distilled` if it is the best so far by the selection
    rule."""
    rule, candidate = config.evaluate.selection, keeper.candidate()
    progress = replace(progress, considered=candidate.iteration)
    if rule == "last":
        if candidate.iteration == config.distill.iterations:
            keeper.select(candidate)
        return progress
    accuracy = score(candidate)
    best = progress.best_accuracy is None or accuracy > progress.best_accuracy
    if best:
        keeper.select(candidate)
        progress = replace(progress, best_accuracy=accuracy)
    emit(
        CandidateScored(
            iteration=candidate.iteration,
            part=rule,
            accuracy=accuracy,
            images=len(candidate.images),
            best=best,
        )
    )
    return progress


def _give_up_if_stuck(
    config: Config, distillation: Distillation, refused: str, keeper: Keeper, run: Run
) -> None:
    """Raise MatchingError for a run in which no step is taken any more."""
    settings, progress = config.distill, distillation.progress
    if progress.refusals < settings.max_refusals:
        return
    keeper.save()
    raise _stuck(config, distillation, refused, run)


def _give_up_if_idle(config: Config, distillation: Distillation, keeper: Keeper, run: Run) -> None:
    """Nor must one end as if something had been learned."""
    progress = distillation.progress
    if progress.iteration and progress.skipped == progress.iteration:
        keeper.save()
        raise _stuck(config, distillation, progress.refused, run)


def _stuck(config: Config, distillation: Distillation, refused: str, run: Run) -> MatchingError:
    settings, progress = config.distill, distillation.progress
    return MatchingError(
        f"run {run.name}: no step was taken in the last {progress.refusals} iterations: {refused} "
        f"(loss {progress.loss}, threshold {settings.threshold:g})",
        change_for(refused, settings, distillation.learned, progress.loss),
    )
