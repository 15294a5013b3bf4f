"""The first stage: train experts on the real images and keep their weights after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from datm_engine.compute.compilation import compiled
from datm_engine.compute.runtime import Runtime, derive_seed, generator
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import FileError, Stopped
from datm_engine.experts.curriculum import Curriculum, difficulty, scoring_epochs
from datm_engine.experts.imported import imported_experts, open_imported
from datm_engine.experts.locks import Claim, claim_next
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import remove_leftovers
from datm_engine.networks.weights import FlatNetwork, Layout
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Emit, ExpertEpoch, ExpertsPlanned, ExpertTrained, Noted
from datm_engine.settings.config import Config, ExpertsConfig
from datm_engine.settings.derived.values import WINDOW
from datm_engine.training.steps import (
    ExpertStep,
    check_finite,
    exercise_for,
    expert_step,
    seconds_of_an_epoch,
    train_epoch,
)

# (epoch, generator) → indices of the images to train on, one after the other
Order: TypeAlias = Callable[[int, torch.Generator], Tensor]

FORMAT = 1  # raised when experts of the same settings would come out different


def expert_facts(config: Config, data: PreparedData, precision: str) -> dict[str, Any]:
    """All that makes experts what they are, for their fingerprint. How many there are does not:
    expert k is drawn from (seed, k), so that a set can grow. `precision` is the run's."""
    settings = config.experts
    facts = {
        "format": FORMAT,
        "dataset": data.name,
        "content": data.fingerprint,
        "preprocessing": config.dataset.preprocessing,
        "zca_regularization": config.dataset.zca_regularization,
        "augmentation": list(config.dataset.augmentation),
        "network": config.network.model_dump(),
        "experts": settings.model_dump(
            exclude={"count", "epochs", "precision", "snapshots", "imported", "order"}
        ),
        "epochs": config.snapshot_epochs,
    }
    arithmetic = {
        "precision": expert_precision(settings, precision),
        "snapshots": settings.snapshots,
    }
    facts |= {key: value for key, value in arithmetic.items() if value != "float32"}
    return facts if settings.order == "random" else facts | {"order": settings.order}


def expert_precision(settings: ExpertsConfig, precision: str) -> str:
    """What experts compute in, in a run that computes in `precision`."""
    return precision if settings.precision == "run" else settings.precision


def expert_network(config: Config, data: PreparedData, seed: int, runtime: Runtime) -> FlatNetwork:
    """The network that experts and students share, with weights drawn from `seed`."""
    channels, height, width = data.shape
    module = build(
        config.network.architecture,
        channels=channels,
        size=(height, width),
        classes=data.classes,
        width=config.network.width,
        depth=config.network.depth,
        norm=config.network.norm,
        seed=seed,
    )
    return FlatNetwork(module.to(runtime.device, runtime.dtype), runtime.compute)


def train_experts(
    config: Config,
    data: PreparedData,
    experts_dir: Path,
    runtime: Runtime,
    derive: Collection[str] = (),
    *,
    emit: Emit,
) -> ExpertSet:
    """Train those of `config.experts.count` experts that are not on disk yet. `derive`: the keys of
    [distill] that are to be derived from them.

    Each is written when it is done, by the rank that it was dealt to. Experts that another process
    trains are waited for, when nothing else is left to train. A set that was imported is taken as
    it is. Raises FileError for a damaged expert, DatmError for one that diverges, and Stopped: then
    those in progress are given up, and those before them stay.
    """
    if config.experts.imported is not None:
        layout = expert_network(config, data, seed=0, runtime=runtime).layout
        return imported_experts(config, data, layout, experts_dir, emit=emit)
    settings, epochs = config.experts, config.snapshot_epochs
    facts, precision = expert_facts(config, data, runtime.precision), runtime.precision
    runtime = runtime.using(expert_precision(settings, precision))
    network = expert_network(config, data, seed=0, runtime=runtime)
    experts = ExpertSet.create(experts_dir, facts, network.layout, epochs, _dtype(config))
    ranks, wanted = runtime.ranks, range(settings.count)
    missing = ranks.first(lambda: sorted(set(wanted) - set(experts.ready(settings.count))))
    own = ranks.deal(missing)
    step = expert_step(network, settings)
    if own:
        exercise, repeats = exercise_for(config, data, network, len(own))
        step = compiled(
            runtime, "expert steps", step, exercise, repeats, small_kernels=True, emit=emit
        )
    seconds = 0.0
    if own:
        an_epoch = seconds_of_an_epoch(config, data, network, step)
        seconds = an_epoch * (len(own) * epochs + scoring_epochs(config, ranks))
    emit(
        ExpertsPlanned(
            folder=str(experts.folder),
            total=settings.count,
            missing=len(missing),
            epochs=epochs,
            epochs_needed=config.epochs_needed,
            seconds=seconds,
            size=len(missing) * experts.expert_size,
        )
    )
    if missing:
        if ranks.leads:
            remove_leftovers(experts.folder)
        if not set(derive) & set(WINDOW):  # else what the window needs is not known yet
            emit(Noted(text=_cost_of_epochs(config)))
    if missing and ranks.count > 1:
        text = (
            f"experts are dealt out to {ranks.count} ranks, of which the first tells how it "
            "goes; the others' are told of when all are there"
        )
        emit(Noted(text=text))
    order: Order = partial(_shuffled, len(data.train))
    if missing and settings.order == "easy-first":
        begin = partial(_start, config, data, runtime, "difficulty weights")
        places = difficulty(config, data, network, begin, runtime, emit=emit)
        order = Curriculum(places, epochs).order

    def train(expert: int) -> Tensor:
        start = _start(config, data, runtime, "expert weights", expert)
        return _train(config, data, expert, start, step, order, runtime, emit=emit)

    def report(expert: int, weights: Tensor, seconds: float) -> ExpertTrained:
        last, held_out = runtime.place(weights), data.validation
        return ExpertTrained(
            expert=expert,
            total=settings.count,
            path=str(experts.path(expert)),
            seconds=seconds,
            train_accuracy=network.accuracy(last, data.train.images, data.train.labels),
            validation_accuracy=network.accuracy(last, held_out.images, held_out.labels)
            if len(held_out)
            else None,
        )

    claim = partial(
        claim_next, experts, total=settings.count, check_stop=runtime.check_stop_here, emit=emit
    )
    trained: list[ExpertTrained] = []
    stopped = False
    try:
        _train_missing(own, claim, train, report, trained, emit=emit)
    except Stopped:
        stopped = True
    runtime.using(precision)
    for rank, theirs in enumerate(ranks.gather(trained)):  # and wait for them
        if rank != ranks.rank:
            for event in theirs:
                emit(event)
    if ranks.any(stopped):
        raise Stopped
    return experts


def _train_missing(
    missing: Sequence[int],
    claim: Callable[[Sequence[int]], Claim],
    train: Callable[[int], Tensor],
    report: Callable[[int, Tensor, float], ExpertTrained],
    trained: list[ExpertTrained],
    *,
    emit: Emit,
) -> None:
    """Train the `missing` experts, or take those that other processes have trained meanwhile, and
    append them to `trained`."""
    pending = list(missing)
    while pending:
        began = time.monotonic()
        claimed = claim(pending)
        expert, experts = claimed.expert, claimed.experts
        with claimed:
            if claimed.is_trained:
                last = experts.snapshot(expert, experts.epochs)
            else:
                snapshots = train(expert)
                experts.save(expert, snapshots, {"expert": str(expert)})
                last = snapshots[-1]
        pending.remove(expert)
        trained.append(report(expert, last, time.monotonic() - began))
        emit(trained[-1])


def open_experts(
    config: Config,
    data: PreparedData,
    layout: Layout,
    experts_dir: Path,
    precision: str,
    making: str,
    purpose: str = "choose images by",
) -> ExpertSet:
    """The set that `config` describes, as far as it is on disk; nothing is trained.

    `precision` is that of the run that made them; `making`, the command that would; `purpose`, what
    they are wanted for. Raises FileError where there is none, and as `open_imported` does.
    """
    if config.experts.imported is not None:
        return open_imported(config, data.name, data.classes, layout, experts_dir)
    experts = expert_set(config, data, layout, experts_dir, precision)
    folder = experts.folder
    if not experts.present(config.experts.count):
        raise FileError(f"{folder}: no experts of these settings, to {purpose}", making)
    return experts


def expert_set(
    config: Config, data: PreparedData, layout: Layout, experts_dir: Path, precision: str
) -> ExpertSet:
    """The set that is trained for `config` in a run of that precision, on disk or not."""
    folder = experts_dir / fingerprint(expert_facts(config, data, precision))
    return ExpertSet(folder, layout, config.snapshot_epochs, _dtype(config))


def _dtype(config: Config) -> torch.dtype:
    return torch.bfloat16 if config.experts.snapshots == "bfloat16" else torch.float32


def _start(
    config: Config, data: PreparedData, runtime: Runtime, purpose: str, number: int
) -> Tensor:
    """The weights that an expert, or another network of the experts' kind, starts from, flat."""
    seed = derive_seed(config.experts.seed, purpose, number)
    return expert_network(config, data, seed, runtime).initial()


def _shuffled(images: int, _epoch: int, draws: torch.Generator) -> Tensor:
    return torch.randperm(images, generator=draws)


def _train(
    config: Config,
    data: PreparedData,
    expert: int,
    theta: Tensor,
    step: ExpertStep,
    order: Order,
    runtime: Runtime,
    *,
    emit: Emit,
) -> Tensor:
    """One expert's snapshots [epochs + 1, weights] float32 on the CPU. Raises Stopped."""
    settings, epochs, velocity = config.experts, config.snapshot_epochs, torch.zeros_like(theta)
    snapshots = [theta.float().cpu().clone()]
    for epoch in range(1, epochs + 1):
        runtime.check_stop_here()
        draws = generator(settings.seed, "expert epoch", expert, epoch)
        theta, velocity, loss, right = train_epoch(
            step, theta, velocity, data.train, order(epoch, draws), config, draws
        )
        snapshots.append(theta.float().cpu().clone())
        who, largest = f"expert {expert}", float(snapshots[-1].abs().max())
        check_finite(loss, who, epoch, settings.lr)
        check_finite(largest, who, epoch, settings.lr, "largest weight")  # after the last step
        emit(
            ExpertEpoch(expert=expert, epoch=epoch, epochs=epochs, loss=loss, accuracy=100 * right)
        )
    return torch.stack(snapshots)


def _cost_of_epochs(config: Config) -> str:
    needed, epochs = config.epochs_needed, config.snapshot_epochs
    if config.distill.labels == "hard":
        if epochs == needed:
            return f"experts train {needed} epochs, all that the window needs"
        return (
            f"experts train {epochs} epochs, though the window needs only {needed} "
            f"(--set experts.epochs=window saves {1 - needed / epochs:.0%} of time and disk)"
        )
    if epochs == needed:
        return (
            f"experts train {needed} epochs, all that the window needs; soft labels come from "
            f"epoch {needed}, earlier and softer than the published epoch 100 "
            f"(--set experts.epochs=100 takes {100 / needed:.0f}× the time and disk)"
        )
    return (
        f"experts train {epochs} epochs, though the window needs only {needed}: soft labels come "
        f"from the last one (--set experts.epochs=window saves {1 - needed / epochs:.0%} of time "
        f"and disk, with labels from epoch {needed})"
    )
