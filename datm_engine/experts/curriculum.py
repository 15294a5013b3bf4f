"""Experts that train on the easier images first (`experts.order = "easy-first"`).

An image's difficulty is its EL2N score, the mean over `SCORERS` networks that SGD trains on all
images in random order for a tenth of the experts' epochs. Their draws come from the experts' seed:
the scores are the same in every process, and are not stored. Images are ranked within their class,
so that classes keep their shares.

The schedule is that of PAD's published code (Li et al. 2024, arXiv 2408.03360; its README orders
images by GraNd scores instead). That trains 100 epochs; here it is scaled to the experts' epochs:

    share of epochs done   images in use, of each class
    0                      the easiest 75%
    up to 20%              growing linearly to all
    up to 40%              all
    up to 60%              without the easiest 10%
    beyond                 without the easiest 20%

An epoch of PAD passes once over the images in use, and has fewer steps when they are fewer. Here
the images in use are shuffled and repeated until the epoch has as many steps as one over all
images. M epochs are then the same number of steps at every start, and batches have only the shapes
that are compiled.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.image_sets import ImageSet
from datm_engine.errors import DatmError, Setting
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import DifficultyProgress, Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.settings.expert_measurements import SCORERS, early_epoch
from datm_engine.training.epochs import Schedule, train
from datm_engine.training.optimizers import expert_step

FIRST_SHARE, GROWS_UNTIL = 0.75, 0.2  # of a class; of the epochs
DROPPED = ((0.6, 0.2), (0.4, 0.1))  # after this share of the epochs, this share of the easiest

EASY_FIRST = (
    "experts train on the easiest 75% of each class at first, on all after a fifth of their "
    "epochs, without the easiest 10% after two fifths, and 20% after three (experts.order)"
)


def ranks_in_use(epoch: int, epochs: int) -> tuple[float, float]:
    """The ranks within a class, from 0 (easiest) to 1 (hardest), that an epoch trains on. The
    first epoch is 1; the upper bound is exclusive."""
    done = (epoch - 1) / epochs
    for after, share in DROPPED:
        if done > after:
            return share, 1.0
    return 0.0, min(1.0, FIRST_SHARE + (1 - FIRST_SHARE) * done / GROWS_UNTIL)


@dataclass(frozen=True)
class Curriculum:
    """difficulty: [n], as `difficulty_ranks` gives it. epochs: of an expert."""

    difficulty: Tensor
    epochs: int

    def order(self, epoch: int, draws: torch.Generator) -> Tensor:
        """Indices [n] of an epoch's images: permutations of those in use, one after the other."""
        lower, upper = ranks_in_use(epoch, self.epochs)
        count = len(self.difficulty)
        used = ((self.difficulty >= lower) & (self.difficulty < upper)).nonzero().flatten()
        repeats = -(-count // len(used))
        orders = [used[torch.randperm(len(used), generator=draws)] for _ in range(repeats)]
        return torch.cat(orders)[:count]


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """‖softmax(logits) − one-hot(labels)‖₂ of each image. logits: [n, classes]; labels: [n] int64;
    returns [n]. Source: Paul et al. 2021, averaged there over networks early in training."""
    error = logits.softmax(dim=1)  # [n, classes], a new tensor
    error[torch.arange(len(labels), device=labels.device), labels] -= 1
    return error.norm(dim=1)


def difficulty_ranks(scores: Tensor, labels: Tensor) -> Tensor:
    """The rank of each image within its class, in (0, 1), the easiest first: (k + ½)/n for number k
    of n. Of equal scores the first image is the easier. Both: [n]; returns [n] float64 on the
    CPU."""
    scores, labels = scores.cpu(), labels.cpu()
    ranks = torch.empty(len(labels), dtype=torch.float64)
    for c in labels.unique():
        own = (labels == c).nonzero().flatten()
        order = own[scores[own].argsort(stable=True)]
        # Not k/n: a class of one image has it at ½, which is in use in every epoch.
        ranks[order] = (torch.arange(len(own), dtype=torch.float64) + 0.5) / len(own)
    return ranks


def expert_schedule(config: Config, epochs: int) -> Schedule:
    settings, augmentation = config.experts, config.dataset.augmentation
    return Schedule(range(1, epochs + 1), settings.lr, settings.batch, augmentation)


def scorer_epochs(config: Config, ranks: Ranks) -> int:
    """How many epochs this rank trains before its first expert."""
    if config.experts.order == "random":
        return 0
    return len(ranks.deal(range(SCORERS))) * early_epoch(config.snapshot_epochs)


def measure_difficulty(
    config: Config,
    images: ImageSet,
    network: FlatNetwork,
    initial_weights: Callable[[int], Tensor],
    runtime: Runtime,
    *,
    emit: Emit,
) -> Tensor:
    """The `difficulty_ranks` of the training images, by networks that are trained for it.

    initial_weights: of each network, by its number. Networks are dealt out to ranks; their mean is
    the same for any number of ranks. Raises DatmError if one diverges; Stopped.
    """
    emit(Noted(text=EASY_FIRST))
    ranks, epochs = runtime.ranks, early_epoch(config.snapshot_epochs)
    settings = config.experts.model_copy(update={"optimizer": "sgd"})
    step, total_epochs = expert_step(network, settings), scorer_epochs(config, ranks)
    schedule = expert_schedule(config, epochs)

    def error_norms(scorer: int) -> Tensor:
        def after_epoch(epoch: int, _: Tensor, total: Tensor) -> None:
            who = f"network {scorer} for scores of difficulty"
            check_finite(float(total[0]) / len(images), who, epoch, settings.lr)
            done = scorer // ranks.count * epochs + epoch  # on this rank
            emit(DifficultyProgress(done=done, total=total_epochs))
            if epoch < epochs:
                runtime.check_stop_here()

        runtime.check_stop_here()
        draws = partial(generator, settings.seed, "difficulty epoch", scorer)
        theta = train(step, initial_weights(scorer), images, schedule, draws, after_epoch)
        return el2n(network.predict(theta, images.images), images.labels).cpu()

    scores = torch.stack(ranks.map(error_norms, range(SCORERS))).mean(dim=0)
    return difficulty_ranks(scores, images.labels)


def check_finite(value: float, who: str, epoch: int, lr: float, what: str = "loss") -> None:
    """Raise DatmError for a mean loss, or another value, that training cannot recover from."""
    if not math.isfinite(value):
        raise DatmError(
            f"{who} diverged in epoch {epoch}: its {what} is {value}",
            Setting("experts.lr", lr / 2),
        )
