"""The first stage: train experts on the real images and keep their weights after every epoch."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.config import Config, ExpertsConfig
from datm_engine.data.augmentation import Draw, augment, draw
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.errors import DatmError
from datm_engine.events import Event, ExpertEpoch, ExpertsPlanned, ExpertTrained, Noted
from datm_engine.experts.imported import imported_experts
from datm_engine.experts.optimizers import Descent, gsam_direction
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.files import remove_leftovers
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runtime import Runtime, derive_seed, generator

FORMAT = 1  # raised when experts of the same settings would come out different


def expert_facts(config: Config, data: PreparedData) -> dict[str, Any]:
    """All that makes experts what they are, for their fingerprint. How many there are does not:
    expert k is drawn from (seed, k), so that a set can grow."""
    return {
        "format": FORMAT,
        "dataset": data.name,
        "content": data.fingerprint,
        "preprocessing": config.dataset.preprocessing,
        "zca_regularization": config.dataset.zca_regularization,
        "augmentation": list(config.dataset.augmentation),
        "network": config.network.model_dump(),
        "experts": config.experts.model_dump(exclude={"count", "epochs", "imported"}),
        "epochs": config.snapshot_epochs,
    }


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
    return FlatNetwork(module.to(runtime.device, runtime.dtype))


def train_experts(
    config: Config,
    data: PreparedData,
    experts_dir: Path,
    runtime: Runtime,
    stop: Callable[[], bool] = lambda: False,
) -> Generator[Event, None, ExpertSet]:
    """Train those of `config.experts.count` experts that are not on disk yet.

    Each is written when it is done; if `stop()` turns true, the one in progress is given up and
    those before it stay. A set that was imported is taken as it is.
    Raises FileError for a damaged expert, DatmError for one that diverges.
    """
    if config.experts.imported is not None:
        layout = expert_network(config, data, seed=0, runtime=runtime).layout
        return (yield from imported_experts(config, data, layout, experts_dir))
    settings, epochs = config.experts, config.snapshot_epochs
    network = expert_network(config, data, seed=0, runtime=runtime)
    facts = expert_facts(config, data)
    experts = ExpertSet.create(experts_dir, facts, network.layout, epochs)
    missing = sorted(set(range(settings.count)) - set(experts.ready(settings.count)))
    seconds = len(missing) * _calibrate(config, data, network) if missing else 0.0
    yield ExpertsPlanned(
        folder=str(experts.folder),
        total=settings.count,
        missing=len(missing),
        epochs=epochs,
        epochs_needed=config.epochs_needed,
        seconds=seconds,
        size=len(missing) * experts.expert_size,
    )
    if missing:
        remove_leftovers(experts.folder)
        yield Noted(text=_cost_of_epochs(config))
    for expert in missing:
        began = time.monotonic()
        snapshots = yield from _train(config, data, expert, runtime, stop)
        if snapshots is None:
            break
        experts.save(expert, snapshots, {"expert": str(expert)})
        last = runtime.place(snapshots[-1])
        held_out = data.validation
        yield ExpertTrained(
            expert=expert,
            total=settings.count,
            path=str(experts.path(expert)),
            seconds=time.monotonic() - began,
            train_accuracy=network.accuracy(last, data.train.images, data.train.labels),
            validation_accuracy=network.accuracy(last, held_out.images, held_out.labels)
            if len(held_out)
            else None,
        )
    return experts


def _train(
    config: Config, data: PreparedData, expert: int, runtime: Runtime, stop: Callable[[], bool]
) -> Generator[Event, None, Tensor | None]:
    """One expert's snapshots [epochs + 1, weights] float32 on the CPU; None if stopped."""
    settings, epochs = config.experts, config.snapshot_epochs
    seed = derive_seed(settings.seed, "expert weights", expert)
    network = expert_network(config, data, seed, runtime)
    theta = network.initial()
    descent = Descent(settings.lr, settings.momentum, settings.weight_decay)
    snapshots = [theta.float().cpu().clone()]
    for epoch in range(1, epochs + 1):
        if stop():
            return None
        draws = generator(settings.seed, "expert epoch", expert, epoch)
        order = torch.randperm(len(data.train), generator=draws)
        batches = order.to(runtime.device).split(settings.batch)
        augmentations = draw(config.dataset.augmentation, [len(b) for b in batches], draws)
        totals = torch.zeros(2, device=runtime.device)
        for indices, augmentation in zip(batches, augmentations, strict=True):
            theta, measured = expert_step(
                network, theta, data.train, indices, augmentation, settings, descent
            )
            totals += measured
        loss, right = (totals / len(data.train)).tolist()  # the epoch's one synchronisation
        snapshots.append(theta.float().cpu().clone())
        if loss != loss or loss == float("inf"):
            raise DatmError(
                f"expert {expert} diverged in epoch {epoch}: its loss is {loss}",
                f"--set experts.lr={settings.lr / 2:g}",
            )
        yield ExpertEpoch(
            expert=expert, epoch=epoch, epochs=epochs, loss=loss, accuracy=100 * right
        )
    return torch.stack(snapshots)


def expert_step(
    network: FlatNetwork,
    theta: Tensor,
    train: Part,
    indices: Tensor,
    augmentation: Draw,
    settings: ExpertsConfig,
    descent: Descent,
) -> tuple[Tensor, Tensor]:
    """The next weights, and [sum of the losses, number classified correctly] of the batch as it
    was augmented."""
    images, labels = augment(train.images[indices], augmentation), train.labels[indices]
    measured: list[Tensor] = []

    def gradient(at: Tensor) -> Tensor:
        at = at.detach().requires_grad_()
        logits = network(at, images)
        loss = F.cross_entropy(logits, labels)
        right = (logits.detach().argmax(dim=1) == labels).sum()
        measured.append(torch.stack([loss.detach() * len(labels), right]).float())
        (g,) = torch.autograd.grad(loss, at)
        return g

    if settings.optimizer == "gsam":
        direction = gsam_direction(theta, gradient, rho=settings.rho, alpha=settings.alpha)
    else:
        direction = gradient(theta)
    return descent.step(theta, direction), measured[0]


def _calibrate(config: Config, data: PreparedData, network: FlatNetwork) -> float:
    """Seconds one expert will take, from a few steps at full batch size."""
    settings = config.experts
    batch = min(settings.batch, len(data.train))
    draws = generator(0, "calibration")
    theta, descent = network.initial(), Descent(settings.lr)
    indices = torch.arange(batch, device=theta.device)
    augmentations = draw(config.dataset.augmentation, [batch] * 4, draws)
    began = 0.0
    for i, augmentation in enumerate(augmentations):
        if i == 1:  # the first step warms up
            began = time.monotonic()
        theta, _ = expert_step(network, theta, data.train, indices, augmentation, settings, descent)
        float(theta[0])  # waits for the device
    a_step = (time.monotonic() - began) / (len(augmentations) - 1)
    return a_step * len(data.train) / batch * config.snapshot_epochs


def _cost_of_epochs(config: Config) -> str:
    needed, epochs = config.epochs_needed, config.snapshot_epochs
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
