"""Train experts on the real images and keep their weights after every epoch."""

from __future__ import annotations

import time
from collections.abc import Collection
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime, derive_seed, generator
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import ConfigError, FileError, Setting, Stopped
from datm_engine.experts.curriculum import (
    Curriculum,
    check_finite,
    expert_schedule,
    measure_difficulty,
    scorer_epochs,
)
from datm_engine.experts.held_out import ExpertWatch, early_stop, measured_images
from datm_engine.experts.imported import open_imported
from datm_engine.experts.locks import claim_next
from datm_engine.experts.trajectories import ExpertSet, fingerprint
from datm_engine.files import remove_leftovers
from datm_engine.networks.weights import FlatNetwork, Layout
from datm_engine.networks.zoo import build_flat
from datm_engine.runs.events import (
    Emit,
    ExpertEpoch,
    ExpertsPlanned,
    ExpertTrained,
    Noted,
    WaitBegan,
)
from datm_engine.settings.config import Config, ExpertsConfig
from datm_engine.settings.derived.values import WINDOW
from datm_engine.training.epochs import Order, compile_step, train
from datm_engine.training.optimizers import expert_step

FORMAT = 1  # raised when experts of the same settings would come out different


def expert_facts(config: Config, data: PreparedData, precision: str) -> dict[str, Any]:
    """All that determines experts, for their fingerprint. precision: the run's.

    The number of experts is not part of it: expert k is drawn from (seed, k), so a set can grow.
    """
    settings, rule = config.experts, early_stop(config, data)
    return {
        "format": FORMAT,
        "dataset": data.name,
        "content": data.fingerprint,
        "preprocessing": config.dataset.preprocessing,
        "zca_regularization": config.dataset.zca_regularization,
        "augmentation": list(config.dataset.augmentation),
        "network": config.network.model_dump(),
        "experts": settings.facts(),
        "epochs": config.snapshot_epochs,
        "precision": expert_precision(settings, precision),
        **({} if rule is None else {"early_stop": rule.facts()}),
    }


def expert_precision(settings: ExpertsConfig, precision: str) -> str:
    """The precision that experts are trained in, in a run of that precision."""
    return precision if settings.precision == "run" else settings.precision


def expert_network(config: Config, data: PreparedData, seed: int, runtime: Runtime) -> FlatNetwork:
    """The network of experts and students, with weights drawn from `seed`."""
    name = config.network.architecture
    return build_flat(name, config.network, data.shape, data.classes, seed, runtime)


def expert_set(
    config: Config, data: PreparedData, layout: Layout, experts_dir: Path, precision: str
) -> ExpertSet:
    """The set that `config` describes for a run of that precision, complete on disk or not."""
    folder = experts_dir / fingerprint(expert_facts(config, data, precision))
    dtype = torch.bfloat16 if config.experts.snapshots == "bfloat16" else torch.float32
    is_open = early_stop(config, data) is not None
    return ExpertSet(folder, layout, config.snapshot_epochs, dtype, is_open).settled()


def open_experts(
    config: Config,
    data: PreparedData,
    layout: Layout,
    experts_dir: Path,
    precision: str,
    command: str,
) -> ExpertSet:
    """The set that `config` describes, as far as it is on disk; nothing is trained.

    precision: of the run that trained them. command: the one that trains them. Raises FileError if
    there are none, and what `open_imported` raises.
    """
    if config.experts.imported is not None:
        return open_imported(config, data.name, data.classes, layout, experts_dir)
    experts = expert_set(config, data, layout, experts_dir, precision)
    if not experts.present(config.experts.count):
        raise FileError(f"{experts.folder}: no experts of these settings", command)
    return experts


def train_experts(
    config: Config,
    data: PreparedData,
    experts_dir: Path,
    runtime: Runtime,
    derive: Collection[str] = (),
    *,
    emit: Emit,
) -> ExpertSet:
    """Train those of `config.experts.count` experts that are not on disk yet.

    derive: the keys of [distill] that calibration will set; with the window among them, no note on
    the number of epochs is logged. An expert is written as soon as it is trained, by the rank that
    it is dealt to. Experts that another process trains are waited for when none is left to train.
    An imported set is taken as it is. Raises FileError for a damaged expert, DatmError for one that
    diverges, and Stopped: the experts that are finished are kept.
    """
    settings, ranks, precision = config.experts, runtime.ranks, runtime.precision
    layout = expert_network(config, data, 0, runtime).layout
    if settings.imported is not None:
        experts = open_imported(config, data.name, data.classes, layout, experts_dir)
        emit(_planned(config, experts))
        if len(data.validation):
            text = "the experts were trained elsewhere, and may have seen the held-out images"
            emit(Noted(text=text))
        return experts
    # Another process may decide the number of epochs meanwhile: all ranks take what the first saw.
    experts = ranks.first(lambda: expert_set(config, data, layout, experts_dir, precision))
    experts.create_folder(expert_facts(config, data, precision))
    every = set(range(settings.count))
    if experts.present(settings.count):
        emit(WaitBegan(what="reading the experts that are there"))
    missing = ranks.first(lambda: sorted(every - set(experts.ready(settings.count))))
    if missing and ranks.leads:
        remove_leftovers(experts.folder)
    own_precision = runtime.using(expert_precision(settings, precision))
    trainer = _Trainer(config, data, experts, own_precision, emit)
    trainer.plan(missing, is_window_known=not set(derive) & set(WINDOW))
    stopped = False
    try:
        if experts.is_open:
            with ranks.stopping_together():
                if ranks.leads:
                    trainer.train([0])
            missing = [expert for expert in missing if expert > 0]
            trainer.settle(ranks.first(trainer.experts.settled), missing)
        if missing:
            trainer.train(ranks.deal(missing))
    except Stopped:
        stopped = True
    runtime.using(precision)
    for rank, trained in enumerate(ranks.gather(trainer.trained)):  # waits for the other ranks
        for event in trained if rank != ranks.rank else ():
            emit(event)
    if ranks.any(stopped):
        raise Stopped
    return trainer.experts


def check_epochs(config: Config, experts: ExpertSet) -> None:
    """Raise ConfigError if experts that stopped early, or imported ones, have too few epochs."""
    early = config.experts.imported is None
    why = " (experts.early_stop)" if early else ""
    if config.epochs_needed > experts.epochs:
        most = experts.epochs - config.distill.expert_epochs + 1
        raise ConfigError(
            f"the experts have {experts.epochs} epochs{why}, and the window needs "
            f"{config.epochs_needed}",
            Setting("experts.early_stop", False)
            if early
            else Setting("distill.max_start_epoch", most),
        )
    label_epoch = config.distill.label_epoch
    if isinstance(label_epoch, int) and label_epoch > experts.epochs:
        raise ConfigError(
            f"the experts have {experts.epochs} epochs{why}, and labels are to come from epoch "
            f"{label_epoch}",
            Setting("distill.label_epoch", experts.epochs),
        )


class _Trainer:
    """Trains a rank's share of the experts of a set. runtime: in the experts' precision."""

    def __init__(
        self, config: Config, data: PreparedData, experts: ExpertSet, runtime: Runtime, emit: Emit
    ) -> None:
        self.config, self.data, self.experts, self.runtime = config, data, experts, runtime
        self.emit = emit
        self.network = expert_network(config, data, 0, runtime)
        self.step = expert_step(self.network, config.experts)
        self.schedule = expert_schedule(config, experts.epochs)
        self.trained: list[ExpertTrained] = []
        self.seconds_of_epoch = 0.0

    def plan(self, missing: list[int], *, is_window_known: bool) -> None:
        """Compile the step, and report what training the `missing` experts takes."""
        config, ranks, seconds = self.config, self.runtime.ranks, 0.0
        epochs, share = self.experts.epochs, len(ranks.deal(missing))
        if share:
            self.step = compile_step(
                self.runtime,
                "expert steps",
                self.step,
                self.network.initial(),
                self.data.train,
                self.schedule,
                share * epochs,
                emit=self.emit,
            )
            self.seconds_of_epoch = self._seconds_of_an_epoch()
            seconds = self.seconds_of_epoch * (share * epochs + scorer_epochs(config, ranks))
        self.emit(_planned(config, self.experts, len(missing), seconds))
        if missing and self.experts.is_open:
            text = (
                f"{epochs} epochs are the most: the first expert ends when its held-out loss has "
                "risen for a while and what may be matched is covered, and all others have as "
                "many (experts.early_stop)"
            )
            self.emit(Noted(text=text))
        elif missing and is_window_known:
            self.emit(Noted(text=_cost_of_epochs(config)))
        if missing and ranks.count > 1:
            text = (
                f"experts are dealt out to {ranks.count} ranks; the first reports its own as they "
                "train, and those of the others when all are trained"
            )
            self.emit(Noted(text=text))

    def settle(self, experts: ExpertSet, missing: list[int]) -> None:
        """Train the `missing` experts as long as those on disk, `experts`."""
        self.experts = experts
        self.schedule = expert_schedule(self.config, experts.epochs)
        share = len(self.runtime.ranks.deal(missing))
        seconds = share * experts.epochs * self.seconds_of_epoch
        self.emit(_planned(self.config, experts, len(missing), seconds))

    def _seconds_of_an_epoch(self) -> float:
        """Scaled up from a timed epoch of three batches, after one that is not timed."""
        train_images, size = self.data.train, 3 * self.schedule.batch
        part = ImageSet(train_images.images[:size], train_images.labels[:size])
        ended: list[float] = []

        def after_epoch(_epoch: int, _theta: Tensor, total: Tensor) -> None:
            float(total[0])  # waits for the device
            ended.append(time.monotonic())

        schedule = replace(self.schedule, epochs=range(2))
        theta, draws = self.network.initial(), partial(generator, 0, "calibration")
        train(self.step, theta, part, schedule, draws, after_epoch)
        return (ended[1] - ended[0]) * len(train_images) / len(part)

    def train(self, missing: list[int]) -> None:
        """Train the `missing` experts, or take those that other processes train meanwhile. Raises
        Stopped."""
        order = self._easy_first() if self.config.experts.order == "easy-first" else None
        total = self.config.experts.count
        while missing:
            began = time.monotonic()
            check_stop = self.runtime.check_stop_here
            with claim_next(self.experts, missing, total, check_stop, emit=self.emit) as claim:
                if claim.is_trained:
                    experts = self.experts.settled()
                    last = experts.snapshot(claim.expert, experts.epochs)
                else:
                    snapshots = self._train_one(claim.expert, order)
                    self.experts.save(claim.expert, snapshots, {"expert": str(claim.expert)})
                    last = snapshots[-1]
            missing.remove(claim.expert)
            self._report(claim.expert, last, time.monotonic() - began)

    def _easy_first(self) -> Order:
        difficulty = measure_difficulty(
            self.config,
            self.data.train,
            self.network,
            partial(self._initial_weights, "difficulty weights"),
            self.runtime,
            emit=self.emit,
        )
        return Curriculum(difficulty, self.config.snapshot_epochs).order

    def _initial_weights(self, purpose: str, number: int) -> Tensor:
        seed = derive_seed(self.config.experts.seed, purpose, number)
        return expert_network(self.config, self.data, seed, self.runtime).initial()

    def _train_one(self, expert: int, order: Order | None) -> Tensor:
        """Snapshots [epochs + 1, weights], float32 on the CPU."""
        theta = self._initial_weights("expert weights", expert)
        snapshots = [theta.float().cpu().clone()]
        watch = self._watch()
        if watch is not None:
            watch.is_enough(theta)

        def after_epoch(epoch: int, theta: Tensor, total: Tensor) -> bool:
            # The epoch's one wait for the device, but for the snapshot.
            loss, accuracy = (total / len(self.data.train)).tolist()
            snapshots.append(theta.float().cpu().clone())
            who, lr = f"expert {expert}", self.schedule.lr
            check_finite(loss, who, epoch, lr)
            # The loss is that before the epoch's last step, so the weights are checked as well.
            check_finite(float(snapshots[-1].abs().max()), who, epoch, lr, "largest weight")
            self.emit(
                ExpertEpoch(
                    expert=expert,
                    epoch=epoch,
                    epochs=self.experts.epochs,
                    loss=loss,
                    accuracy=100 * accuracy,
                )
            )
            if watch is not None and watch.is_enough(theta):
                self.emit(Noted(text=watch.why_enough(self.experts.epochs)))
                return True
            if epoch < self.experts.epochs:
                self.runtime.check_stop_here()
            return False

        self.runtime.check_stop_here()
        draws = partial(generator, self.config.experts.seed, "expert epoch", expert)
        train(self.step, theta, self.data.train, self.schedule, draws, after_epoch, order)
        return torch.stack(snapshots)

    def _watch(self) -> ExpertWatch | None:
        """Of the expert that decides how many epochs all have; None for the others."""
        rule = early_stop(self.config, self.data)
        if rule is None or not self.experts.is_open:
            return None
        images = measured_images(self.data.train, self.config.dataset.seed)
        return ExpertWatch(rule, self.network, images, self.data.validation)

    def _report(self, expert: int, weights: Tensor, seconds: float) -> None:
        """Test the last `weights` of an expert, which took so many seconds to train or wait for."""
        theta, data = self.runtime.place(weights), self.data
        train, held_out = data.train, data.validation
        validation_accuracy = None
        if len(held_out):
            validation_accuracy = self.network.accuracy(theta, held_out.images, held_out.labels)
        trained = ExpertTrained(
            expert=expert,
            total=self.config.experts.count,
            path=str(self.experts.path(expert)),
            seconds=seconds,
            train_accuracy=self.network.accuracy(theta, train.images, train.labels),
            validation_accuracy=validation_accuracy,
        )
        self.trained.append(trained)
        self.emit(trained)


def _planned(
    config: Config, experts: ExpertSet, missing: int = 0, seconds: float = 0.0
) -> ExpertsPlanned:
    return ExpertsPlanned(
        folder=str(experts.folder),
        total=config.experts.count,
        missing=missing,
        epochs=experts.epochs,
        epochs_needed=config.epochs_needed,
        seconds=seconds,
        size=missing * experts.expert_size,
    )


def _cost_of_epochs(config: Config) -> str:
    """What experts of more epochs than the window needs cost, and what they are for."""
    needed, epochs = config.epochs_needed, config.snapshot_epochs
    # Labels of another epoch do not depend on the last one.
    has_other_labels = config.distill.labels == "hard" or config.distill.label_epoch != "last"
    if epochs == needed:
        text = f"experts train {needed} epochs, all that the window needs"
        softer = (
            f"; soft labels come from epoch {needed}, earlier and softer than the published epoch "
            f"100 (experts.epochs = 100 takes {100 / needed:.0f}× the time and disk)"
        )
        return text if has_other_labels else text + softer
    text = f"experts train {epochs} epochs, though the window needs only {needed}"
    saved = f'experts.epochs = "window" saves {1 - needed / epochs:.0%} of time and disk'
    if has_other_labels:
        return f"{text} ({saved})"
    return f"{text}: soft labels come from the last one ({saved}, with labels from epoch {needed})"
