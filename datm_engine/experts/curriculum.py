"""Experts that train on the easier images first (`experts.order = "easy-first"`).

How hard an image is, its EL2N score says: the mean over `SCORERS` networks that are trained
plainly, by SGD on all images in random order, for a tenth of the experts' epochs. They are drawn
from the experts' seed, so that the order is the same for every expert, whenever it is trained; no
file keeps it. Images are ordered within their class, so that the classes keep their shares.

The schedule is that of PAD's published code (Li et al. 2024, arXiv 2408.03360; the command in its
README orders by GraNd scores, to the same end). That trains 100 epochs; other lengths are stretched
or shrunk to it:

    epochs done, of all    images that are trained on, of each class
    0                      the easiest 75%
    up to 20%              as many more as bring it to all, evenly
    up to 40%              all
    up to 60%              without the easiest 10%
    beyond                 without the easiest 20%

PAD's epoch passes once over the images that are in play, so that it has fewer steps when they are
fewer. Here every epoch has as many steps as one of all images, of the same batch sizes: those in
play come again, newly shuffled, until it is full. So M epochs are as many steps wherever they lie,
and no batch has a shape that was not compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import PreparedData
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import DifficultyProgress, Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.training.steps import check_finite, expert_step, train_epoch

SCORERS = 5
AT_FIRST, ADDED_BY = 0.75, 0.2  # share of a class; share of the epochs that are done
DROPPED = ((0.6, 0.2), (0.4, 0.1))  # beyond so many epochs, without the easiest

TOLD = (
    "experts train on the easiest 75% of each class at first, on all after a fifth of their "
    "epochs, without the easiest 10% after two fifths, and 20% after three (experts.order)"
)


def in_play(epoch: int, epochs: int) -> tuple[float, float]:
    """Which places of a class are trained on in an epoch (the first is 1): from the easiest, 0, to
    the hardest, 1; the second bound is exclusive."""
    done = (epoch - 1) / epochs
    for beyond, share in DROPPED:
        if done > beyond:
            return share, 1.0
    return 0.0, min(1.0, AT_FIRST + (1 - AT_FIRST) * done / ADDED_BY)


@dataclass(frozen=True)
class Curriculum:
    """`places`: [n] in (0, 1), as `places` gives them; `epochs`: of an expert."""

    places: Tensor
    epochs: int

    def order(self, epoch: int, draws: torch.Generator) -> Tensor:
        """Indices [n] of an epoch's images: permutations of those in play, each used up before the
        next."""
        lower, upper = in_play(epoch, self.epochs)
        count = len(self.places)
        chosen = ((self.places >= lower) & (self.places < upper)).nonzero().flatten()
        turns = -(-count // len(chosen))
        drawn = [chosen[torch.randperm(len(chosen), generator=draws)] for _ in range(turns)]
        return torch.cat(drawn)[:count]


def el2n(logits: Tensor, labels: Tensor) -> Tensor:
    """‖softmax(logits) − one-hot(labels)‖₂ of each image. logits: [n, classes]; labels: [n] int64;
    returns [n]. Source: Paul et al. 2021, where it is averaged over networks early in training."""
    error = logits.softmax(dim=1)
    error[torch.arange(len(labels), device=labels.device), labels] -= 1
    return error.norm(dim=1)


def early(epochs: int) -> int:
    """The epoch that EL2N is taken at, of so many (Paul et al. 2021: 20 of 200, and about as well a
    few epochs in)."""
    return max(1, round(epochs / 10))


def places(scores: Tensor, labels: Tensor) -> Tensor:
    """Where in its class each image stands, from the easiest to the hardest: (k + ½)/n for number k
    of n, so that a class of one image is never without it; of equal scores the first is the easier.
    Both: [n]; returns [n] float64, on the CPU."""
    scores, labels = scores.cpu(), labels.cpu()
    found = torch.empty(len(labels), dtype=torch.float64)
    for c in labels.unique():
        own = (labels == c).nonzero().flatten()
        order = own[scores[own].argsort(stable=True)]
        found[order] = (torch.arange(len(own), dtype=torch.float64) + 0.5) / len(own)
    return found


def scoring_epochs(config: Config, ranks: Ranks) -> int:
    """How many epochs this rank trains before it can begin with the experts."""
    if config.experts.order == "random":
        return 0
    return len(ranks.deal(range(SCORERS))) * early(config.snapshot_epochs)


def difficulty(
    config: Config,
    data: PreparedData,
    network: FlatNetwork,
    start: Callable[[int], Tensor],
    runtime: Runtime,
    *,
    emit: Emit,
) -> Tensor:
    """The `places` of the training images. `start(k)`: the weights that network k begins with.
    Networks are dealt out; their mean is the same for any number of ranks. Raises DatmError where
    one diverges, Stopped."""
    emit(Noted(text=TOLD))
    ranks = runtime.ranks
    plain = config.experts.model_copy(update={"optimizer": "sgd"})
    step, epochs = expert_step(network, plain), early(config.snapshot_epochs)
    train, total = data.train, scoring_epochs(config, ranks)
    own: dict[int, Tensor] = {}
    with ranks.stopping_together():
        for number, scorer in enumerate(ranks.deal(range(SCORERS))):
            theta = start(scorer)
            velocity = torch.zeros_like(theta)
            for epoch in range(1, epochs + 1):
                runtime.check_stop_here()
                draws = generator(plain.seed, "difficulty epoch", scorer, epoch)
                order = torch.randperm(len(train), generator=draws)
                theta, velocity, loss, _ = train_epoch(
                    step, theta, velocity, train, order, config, draws
                )
                check_finite(loss, f"network {scorer} that tells easy from hard", epoch, plain.lr)
                emit(DifficultyProgress(done=number * epochs + epoch, total=total))
            own[scorer] = el2n(network.predict(theta, train.images), train.labels).cpu()
    found = {scorer: errors for theirs in ranks.gather(own) for scorer, errors in theirs.items()}
    scores = torch.stack([found[scorer] for scorer in range(SCORERS)]).mean(dim=0)
    return places(scores, train.labels)
