"""Real images chosen by what experts make of them, from the snapshots that are on disk.

Features for herding and k-center come from the layer before the classifier of the first expert's
last snapshot. Forgetting is counted from epoch 1 to the last one, and EL2N taken a tenth of the way
there (Paul et al. 2021: epoch 20 of 200, and about as well a few epochs in); both are means over
the first `SCORING` experts, and share their passes. A pass is one way forward of all training
images through one snapshot, without augmentation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from datm_engine.data.prepared import Part
from datm_engine.evaluation.baselines import Choice, forgetting, herding, highest, k_center
from datm_engine.experts.curriculum import early, el2n
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.convnet import ConvNet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Emit, Noted, SelectionProgress

BY_FEATURES: dict[str, Choice] = {"herding": herding, "kcenter": k_center}
BY_SCORES = ("forgetting", "el2n")
BY_EXPERTS = (*BY_FEATURES, *BY_SCORES)

# Over five runs the counts of forgetting agree with those over five others (r = 0.98, Toneva et
# al. 2019), and their passes cost less than training one expert by GSAM.
SCORING = 5


@dataclass(frozen=True)
class ExpertSelection:
    """Subsets of the training images, `ipc` of each class or all that a smaller class has.

    `network` is the experts', a ConvNet; `count`: of which of them to use those that are on disk;
    `names`: what will be asked for, so that one pass serves all. Each is chosen once.
    """

    network: FlatNetwork
    experts: ExpertSet
    count: int
    train: Part
    classes: int
    ipc: int
    names: Sequence[str] = BY_EXPERTS
    chosen: dict[str, Part] = field(default_factory=dict)

    def choose(
        self,
        name: str,
        check_stop: Callable[[], None],
        place: tuple[int, int] = (0, 1),
        *,
        emit: Emit,
    ) -> Part:
        """The subset called `name`. `check_stop` is called before every pass; `place`: the number
        of the row it is for, and of how many. Raises FileError for an expert that cannot be
        read."""
        if name not in self.chosen:
            together = [name]
            if name in BY_SCORES:
                together = [score for score in BY_SCORES if score in (name, *self.names)]
            for each in together:
                emit(Noted(text=self._told(each)))

            def before_pass(done: int, total: int) -> None:
                check_stop()
                row, rows = place
                emit(SelectionProgress(set=name, done=done, total=total, row=row, rows=rows))

            self._choose(together, before_pass)
        return self.chosen[name]

    def _told(self, name: str) -> str:
        epochs, experts = self.experts.epochs, self._scoring()
        if name in BY_FEATURES:
            return f"{name}: by the features of expert {experts[0] + 1} after epoch {epochs}"
        when = f"epoch {early(epochs)}" if name == "el2n" else f"epochs 1 to {epochs}"
        of = "1 expert" if len(experts) == 1 else f"{len(experts)} experts"
        return f"{name}: the highest of each class, over {of} after {when}"

    def _choose(self, names: Sequence[str], before_pass: Callable[[int, int], None]) -> None:
        """`before_pass` is called with how many passes are done and needed."""
        if names[0] in BY_FEATURES:
            before_pass(0, 1)
            self._keep(names[0], self._by_features(BY_FEATURES[names[0]]))
            return
        scores = self._scores(names, before_pass)
        for name, values in scores.items():
            self._keep(name, highest(values, self.train.labels, self.classes, self.ipc))

    def _keep(self, name: str, indices: Tensor) -> None:
        self.chosen[name] = Part(self.train.images[indices], self.train.labels[indices])

    def _scoring(self) -> list[int]:
        return self.experts.present(self.count)[:SCORING]

    def _by_features(self, choice: Choice) -> Tensor:
        """A class at a time, so that its features only are in memory."""
        theta = self._snapshot(self._scoring()[0], self.experts.epochs)
        chosen: list[Tensor] = []
        for c in range(self.classes):
            own = (self.train.labels == c).nonzero().flatten()
            if len(own):
                found = features(self.network, theta, self.train.images[own])
                chosen.append(own[choice(found, self.ipc)])
        return torch.cat(chosen)

    def _scores(
        self, wanted: Sequence[str], before_pass: Callable[[int, int], None]
    ) -> dict[str, Tensor]:
        """[n] each, the mean over experts."""
        images, labels, last = self.train.images, self.train.labels, self.experts.epochs
        epochs = range(1, last + 1) if "forgetting" in wanted else [early(last)]
        experts, totals = self._scoring(), dict.fromkeys(wanted, torch.zeros(()))
        for number, expert in enumerate(experts):
            right = []
            for place, epoch in enumerate(epochs):
                before_pass(number * len(epochs) + place, len(experts) * len(epochs))
                logits = self.network.predict(self._snapshot(expert, epoch), images)
                right.append(logits.argmax(dim=1) == labels)
                if "el2n" in wanted and epoch == early(last):
                    totals["el2n"] = totals["el2n"] + el2n(logits, labels)
            if "forgetting" in wanted:
                totals["forgetting"] = totals["forgetting"] + forgetting(torch.stack(right))
        return {name: total / len(experts) for name, total in totals.items()}

    def _snapshot(self, expert: int, epoch: int) -> Tensor:
        return self.experts.snapshot(expert, epoch).to(self.train.images)


def passes(names: Sequence[str], experts: int, epochs: int) -> int:
    """How many passes over the training images these subsets take."""
    scoring = min(experts, SCORING)
    scores = epochs if "forgetting" in names else int("el2n" in names)
    return sum(name in BY_FEATURES for name in names) + scoring * scores


def features(network: FlatNetwork, theta: Tensor, images: Tensor) -> Tensor:
    """What the classifier of a ConvNet sees: [n, d]."""
    assert isinstance(network.module, ConvNet)
    body = FlatNetwork(network.module.features)  # its weights come first in theta
    return body.predict(theta[: body.layout.size], images).flatten(1)
