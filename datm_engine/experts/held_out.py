"""The loss of experts on held-out images: when to stop training (`experts.early_stop`), and the
epoch that soft labels come from (`distill.label_epoch = "best"`)."""

from __future__ import annotations

import statistics
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.settings.config import Config
from datm_engine.settings.derived.early_stop import EarlyStop, best_epoch
from datm_engine.settings.expert_measurements import MEASURED_EXPERTS, MEASURED_IMAGES


def early_stop(config: Config, data: PreparedData) -> EarlyStop | None:
    """The rule that ends the training of experts; None if they train all their epochs, as they do
    where no images are held out."""
    if not (config.experts.early_stop and len(data.validation)):
        return None
    images = config.distill.ipc * data.classes
    steps = -(-len(data.train) // config.experts.batch)
    return EarlyStop(images, steps, config.snapshot_epochs)


def measured_images(train: ImageSet, seed: int) -> ImageSet:
    """`MEASURED_IMAGES` of the training images, in their order; all if there are fewer."""
    if len(train) <= MEASURED_IMAGES:
        return train
    order = torch.randperm(len(train), generator=generator(seed, "images of the course"))
    return train.subset(order[:MEASURED_IMAGES].sort().values.to(train.labels.device))


def mean_loss(network: FlatNetwork, theta: Tensor, images: ImageSet) -> float:
    """Cross-entropy, without augmentation. theta: [weights]."""
    return float(F.cross_entropy(network.predict(theta, images.images), images.labels))


@dataclass
class ExpertWatch:
    """Measures an expert while it is trained, and applies the rule. train: `measured_images`."""

    rule: EarlyStop
    network: FlatNetwork
    train: ImageSet
    held_out: ImageSet
    loss: list[float] = field(default_factory=list)  # [E + 1], of `train`
    held_out_loss: list[float] = field(default_factory=list)  # [E + 1]

    def is_enough(self, theta: Tensor) -> bool:
        """Measure the next epoch's weights; whether they are to be the last."""
        self.loss.append(mean_loss(self.network, theta, self.train))
        self.held_out_loss.append(mean_loss(self.network, theta, self.held_out))
        return len(self.loss) > 1 and self.rule.is_enough(self.loss, self.held_out_loss)

    def why_enough(self, most: int) -> str:
        """Why the training ended, in words. most: how many epochs there might have been."""
        epochs, best = len(self.loss) - 1, best_epoch(self.held_out_loss)
        return (
            f"experts have {epochs} epochs, not {most}: the held-out loss is lowest after epoch "
            f"{best} ({self.held_out_loss[best]:.2f}, {self.held_out_loss[-1]:.2f} at last), and "
            "what may be matched is covered"
        )


def lowest_held_out_epoch(
    experts: ExpertSet, count: int, network: FlatNetwork, held_out: ImageSet, runtime: Runtime
) -> int:
    """The epoch of the lowest held-out loss, in the mean over the first of `count` experts. Raises
    FileError for a damaged expert; Stopped."""

    def loss(epoch: int) -> float:
        runtime.check_stop_here()
        snapshots = (
            runtime.place(experts.snapshot(k, epoch)) for k in range(min(count, MEASURED_EXPERTS))
        )
        return statistics.fmean(mean_loss(network, theta, held_out) for theta in snapshots)

    return best_epoch([loss(epoch) for epoch in range(experts.epochs + 1)])
