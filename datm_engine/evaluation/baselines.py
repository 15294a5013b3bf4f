"""Real images to compare a distilled set with: as many of each class, chosen at random, by their
features, or by how hard they are to learn.

The choices are those of the field's tables (DC, Zhao et al. 2021: random, herding, k-center,
forgetting), made class by class. Forgetting and EL2N keep the hardest images, as in their papers
and those tables, though with few images per class the hardest teach less than random ones (DC's
table; Sorscher et al. 2022).

Experts' snapshots on disk give features and scores. Herding and k-center compare the inputs of the
first expert's classifier by Euclidean distance, after its last epoch. A pass is one forward pass of
all training images through one snapshot, without augmentation. Forgetting needs a pass for every
epoch; EL2N needs one, a tenth of the way through the training (Paul et al. 2021: epoch 20 of 200).
Both are means over the first `SCORING_EXPERTS` experts. If both are chosen, EL2N needs no pass of
its own.

To add a baseline:

- by features: add a function and its entry in `CHOOSE_BY_FEATURES` here, and its name to
  `BY_FEATURES` in `settings/expert_measurements.py`;
- by scores: extend `_scores` and `_describe` here, and `BY_SCORES` and `passes` in
  `settings/expert_measurements.py`;
- without experts: choose it in `Evaluation._training_set`, as `random` is;
- always: add its name to `SubsetName` (`settings/config.py`), to `SETS`
  (`datm_cli/run_summary.py`), to the help of `--against` and to `docs/comparing.md`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datm_engine.data.image_sets import ImageSet
from datm_engine.distillation.initialization import random_images
from datm_engine.experts.curriculum import el2n
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.convnet import ConvNet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, Noted, SelectionProgress
from datm_engine.settings.expert_measurements import (
    BY_FEATURES,
    BY_SCORES,
    SCORING_EXPERTS,
    early_epoch,
)

# (features [n, d], how many) → indices of the chosen ones, in that order
Choose = Callable[[Tensor, int], Tensor]
BeforePass = Callable[[int, int], None]  # called with (passes done, passes in all)


def random_subset(train: ImageSet, classes: int, ipc: int, seed: int) -> ImageSet:
    """`ipc` random images of each class, or all that a smaller class has."""
    indices = random_images(train.labels, classes, ipc, seed).indices.to(train.images.device)
    return train.subset(indices)


def herding(features: Tensor, count: int) -> Tensor:
    """One after the other, the image that brings the mean of the chosen ones nearest to the mean
    of all; each at most once. Source: Welling 2009, in iCaRL's form (Rebuffi et al. 2017).

    features: [n, d]; returns indices [min(count, n)].
    """
    mean, lengths = features.mean(dim=0), features.square().sum(dim=1)
    total, free = torch.zeros_like(mean), torch.ones_like(lengths, dtype=torch.bool)
    chosen: list[int] = []
    for k in range(1, min(count, len(features)) + 1):
        wanted = k * mean - total  # ‖mean − (total + f)/k‖ is least where ‖wanted − f‖ is
        distances = lengths - 2 * features @ wanted
        chosen.append(int(distances.where(free, torch.inf).argmin()))
        total = total + features[chosen[-1]]
        free[chosen[-1]] = False
    return torch.tensor(chosen, device=features.device)


def k_center(features: Tensor, count: int) -> Tensor:
    """The image nearest to the mean of all, then one after the other the image farthest from the
    chosen ones. Source: the greedy rule of Sener & Savarese 2018, which leaves the start open.

    features: [n, d]; returns indices [min(count, n)].
    """
    chosen = [int(_squared_distances(features, features.mean(dim=0)).argmin())]
    nearest = torch.full_like(features[:, 0], torch.inf)
    for _ in range(1, min(count, len(features))):
        nearest = nearest.minimum(_squared_distances(features, features[chosen[-1]]))
        nearest[chosen[-1]] = -1.0  # below any distance: a duplicate of it, at 0, still comes first
        chosen.append(int(nearest.argmax()))
    return torch.tensor(chosen, device=features.device)


def forgetting(right: Tensor) -> Tensor:
    """How often an image is classified correctly in an epoch and wrongly in the next.

    right: [epochs, n] booleans, whether an expert classified it correctly; returns [n] float32. An
    image that is never right counts as forgotten `epochs` times, which is more than any count and,
    unlike infinity, has a mean over experts. Source: Toneva et al. 2019.
    """
    events = (right[:-1] & ~right[1:]).sum(dim=0)
    return events.where(right.any(dim=0), len(right)).float()


def highest(scores: Tensor, labels: Tensor, classes: int, ipc: int) -> Tensor:
    """Indices of the `ipc` images with the highest scores of each class, class after class; of
    equal scores the first."""
    order = scores.argsort(descending=True, stable=True)
    return torch.cat([order[labels[order] == c][:ipc] for c in range(classes)])


def _squared_distances(features: Tensor, centre: Tensor) -> Tensor:
    """‖features − centre‖² of each image, [n]."""
    return (features - centre).square().sum(dim=1)


CHOOSE_BY_FEATURES: dict[str, Choose] = {"herding": herding, "kcenter": k_center}
BY_EXPERTS = (*BY_FEATURES, *BY_SCORES)


@dataclass(frozen=True)
class ExpertBaselines:
    """Subsets of the training images, `ipc` of each class or all that a smaller class has.

    network: the experts', a ConvNet. count: how many experts the run has; those on disk are used.
    names: all subsets that will be chosen, so that forgetting and EL2N share their passes.
    """

    network: FlatNetwork
    experts: ExpertSet
    count: int
    train: ImageSet
    classes: int
    ipc: int
    names: Sequence[str] = BY_EXPERTS
    chosen: dict[str, ImageSet] = field(default_factory=dict)

    def choose(
        self,
        name: str,
        check_stop: Callable[[], None],
        row: tuple[int, int] = (0, 1),
        *,
        emit: Emit,
    ) -> ImageSet:
        """The subset called `name`. check_stop: called before every pass. row: (index,
        rows in all) of the row of results that the subset is for, shown in the progress.
        Raises FileError for a damaged expert."""
        if name not in self.chosen:
            names = [name]
            if name in BY_SCORES:  # they share their passes
                names = [score for score in BY_SCORES if score in (name, *self.names)]
            for each in names:
                emit(Noted(text=self._describe(each)))

            def before_pass(done: int, total: int) -> None:
                check_stop()
                number, rows = row
                emit(SelectionProgress(set=name, done=done, total=total, row=number, rows=rows))

            if name in BY_FEATURES:
                before_pass(0, 1)
                indices = {name: self._choose_by_features(CHOOSE_BY_FEATURES[name])}
            else:
                labels, scores = self.train.labels, self._scores(names, before_pass)
                indices = {s: highest(scores[s], labels, self.classes, self.ipc) for s in names}
            for each, own in indices.items():  # own: [m]
                self.chosen[each] = self.train.subset(own)
        return self.chosen[name]

    def _describe(self, name: str) -> str:
        epochs, experts = self.experts.epochs, self._scoring_experts()
        if name in BY_FEATURES:
            return f"{name}: by the features of expert {experts[0] + 1} after epoch {epochs}"
        when = f"epoch {early_epoch(epochs)}" if name == "el2n" else f"epochs 1 to {epochs}"
        of = "1 expert" if len(experts) == 1 else f"{len(experts)} experts"
        return f"{name}: the highest of each class, over {of} after {when}"

    def _scoring_experts(self) -> list[int]:
        return self.experts.present(self.count)[:SCORING_EXPERTS]

    def _choose_by_features(self, choose: Choose) -> Tensor:
        theta = self._snapshot(self._scoring_experts()[0], self.experts.epochs)
        chosen: list[Tensor] = []
        for c in range(self.classes):  # a class at a time: only its features are in memory
            own = (self.train.labels == c).nonzero().flatten()
            if len(own):
                inputs = features(self.network, theta, self.train.images[own])  # [len(own), d]
                chosen.append(own[choose(inputs, self.ipc)])
        return torch.cat(chosen)

    def _scores(self, names: Sequence[str], before_pass: BeforePass) -> dict[str, Tensor]:
        """[n] each, the mean over experts."""
        images, labels, last = self.train.images, self.train.labels, self.experts.epochs
        epochs = range(1, last + 1) if "forgetting" in names else [early_epoch(last)]
        experts, totals = self._scoring_experts(), dict.fromkeys(names, torch.zeros(()))
        for number, expert in enumerate(experts):
            correct = []
            for passes_done, epoch in enumerate(epochs, number * len(epochs)):
                before_pass(passes_done, len(experts) * len(epochs))
                logits = self.network.predict(self._snapshot(expert, epoch), images)
                correct.append(logits.argmax(dim=1) == labels)  # [n]
                if "el2n" in names and epoch == early_epoch(last):
                    totals["el2n"] = totals["el2n"] + el2n(logits, labels)
            if "forgetting" in names:
                totals["forgetting"] = totals["forgetting"] + forgetting(torch.stack(correct))
        return {name: total / len(experts) for name, total in totals.items()}

    def _snapshot(self, expert: int, epoch: int) -> Tensor:
        return self.experts.snapshot(expert, epoch).to(self.train.images)


def features(network: FlatNetwork, theta: Tensor, images: Tensor) -> Tensor:
    """The inputs of a ConvNet's classifier: [n, d]."""
    assert isinstance(network.module, ConvNet)
    body = FlatNetwork(network.module.features)  # its weights come first in theta
    return body.predict(theta[: body.layout.size], images).flatten(1)
