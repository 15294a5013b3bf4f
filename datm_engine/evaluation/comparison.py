"""The third stage: how well networks do that were trained on the distilled set, beside networks
trained on as many random real images, and on all of them, by the same protocol."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from datm_engine.config import Config
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.distillation.matching import hard_labels
from datm_engine.evaluation.selection import random_subset
from datm_engine.evaluation.training import Schedule, train
from datm_engine.events import Evaluated, EvaluationProgress, Event
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runtime import Runtime, derive_seed
from datm_engine.synthetic import SyntheticSet

PROGRESS_EVENTS = 20  # a training


@dataclass(frozen=True)
class Material:
    """What a network is trained on: `labels` are logits [n, classes]."""

    name: str
    images: Tensor
    labels: Tensor
    lr: float
    epochs: int


@dataclass(frozen=True)
class Evaluation:
    """Trains networks and tests them, as `config.evaluate` says.

    `stop()` is asked after every epoch; once it is true, no row that is not finished is given.
    """

    config: Config
    data: PreparedData
    runtime: Runtime
    stop: Callable[[], bool] = lambda: False

    def compare(
        self, distilled: Mapping[str, SyntheticSet]
    ) -> Generator[Event, None, list[Evaluated]]:
        """A row of test accuracy for every set and network.

        `distilled` names the sets to evaluate beside those of `config.evaluate.against`. A row is
        mean and (population) standard deviation over the repeats, each with initial weights and,
        for "random", images of its own.
        """
        settings = self.config.evaluate
        rows: list[Evaluated] = []
        for network in settings.networks:
            for name in [*distilled, *settings.against]:
                began, accuracies, images = time.monotonic(), [], 0
                repeats = settings.full_repeats if name == "full" else settings.repeats
                for repeat in range(repeats):
                    if name in distilled:
                        material = self._distilled(name, distilled[name])
                    else:
                        material = self._real(name, repeat)
                    accuracy = yield from self._accuracy(
                        material, network, repeat, repeats, self.data.test
                    )
                    if accuracy is None:
                        return rows
                    accuracies.append(accuracy)
                    images = len(material.images)
                row = Evaluated(
                    set=name,
                    network=network,
                    accuracy_mean=statistics.fmean(accuracies),
                    accuracy_std=statistics.pstdev(accuracies),
                    repeats=repeats,
                    images=images,
                    iteration=distilled[name].iteration if name in distilled else None,
                    seconds=time.monotonic() - began,
                )
                yield row
                rows.append(row)
        return rows

    def score(self, candidate: SyntheticSet) -> Generator[Event, None, float | None]:
        """Accuracy on the part that `selection` names: the held-out part of the training images,
        or by the published rule the test images. None if stopped."""
        settings = self.config.evaluate
        judge = self.data.test if settings.selection == "test" else self.data.validation
        material = self._distilled("candidate", candidate)
        accuracies = []
        for repeat in range(settings.selection_repeats):
            accuracy = yield from self._accuracy(
                material, "convnet", repeat, settings.selection_repeats, judge
            )
            if accuracy is None:
                return None
            accuracies.append(accuracy)
        return statistics.fmean(accuracies)

    def _distilled(self, name: str, synthetic: SyntheticSet) -> Material:
        return Material(
            name,
            self.runtime.place(synthetic.images),
            self.runtime.place(synthetic.labels),
            synthetic.syn_lr,
            self.config.evaluate.epochs,
        )

    def _real(self, name: str, repeat: int) -> Material:
        settings, data, part = self.config.evaluate, self.data, self.data.train
        if name == "random":
            seed = derive_seed(self.config.distill.seed, "random subset", repeat)
            part = random_subset(data.train, data.classes, self.config.distill.ipc, seed)
        labels = self.runtime.place(hard_labels(part.labels, data.classes))
        epochs = settings.full_epochs if name == "full" else settings.epochs
        return Material(name, part.images, labels, settings.real_lr, epochs)

    def _accuracy(
        self, material: Material, network_name: str, repeat: int, repeats: int, judge: Part
    ) -> Generator[Event, None, float | None]:
        """Percent of `judge` that a fresh network gets right; None if stopped."""
        config, settings = self.config, self.config.evaluate
        seed = derive_seed(config.distill.seed, "evaluation", network_name, repeat)
        channels, height, width = self.data.shape
        module = build(
            network_name,
            channels=channels,
            size=(height, width),
            classes=self.data.classes,
            width=config.network.width,
            depth=config.network.depth,
            norm=config.network.norm,
            seed=seed,
        )
        network = FlatNetwork(module.to(self.runtime.device, self.runtime.dtype))
        schedule = Schedule(
            material.epochs, material.lr, settings.batch, settings.momentum, settings.weight_decay
        )
        training = train(
            network,
            material.images,
            material.labels,
            schedule,
            config.dataset.augmentation,
            seed,
        )
        every = max(1, material.epochs // PROGRESS_EVENTS)
        while True:
            try:
                epoch = next(training)
            except StopIteration as end:
                return network.accuracy(end.value, judge.images, judge.labels)
            if self.stop():
                return None
            if epoch % every == 0:
                yield EvaluationProgress(
                    set=material.name,
                    network=network_name,
                    repeat=repeat,
                    repeats=repeats,
                    epoch=epoch,
                    epochs=material.epochs,
                )


def result(evaluated: Evaluated) -> dict[str, Any]:
    """What `--json` says of a row; accuracies in percent."""
    return {
        "set": evaluated.set,
        "network": evaluated.network,
        "accuracy_mean": round(evaluated.accuracy_mean, 4),
        "accuracy_std": round(evaluated.accuracy_std, 4),
        "repeats": evaluated.repeats,
        "images": evaluated.images,
    }
