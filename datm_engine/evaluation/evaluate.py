"""Train networks on a distilled set and test them, beside networks trained on real images.

All are trained by the protocol of MTT's and DATM's published evaluation: the E + 1 epochs 0 … E,
SGD with momentum 0.9 and weight decay 5e-4, batches of 128, one augmentation drawn for each batch.
After epoch E // 2 + 1 the rate is a tenth and the momentum starts again. The accuracy is that after
the last epoch. Published: E = 1000.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import KW_ONLY, dataclass, field
from functools import partial

from torch import Tensor

from datm_engine.compute.memory_errors import half, oom_as_error
from datm_engine.compute.runtime import Runtime, derive_seed, generator
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.evaluation.baselines import ExpertBaselines, random_subset
from datm_engine.networks.batchnorm import measure_statistics
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build_flat
from datm_engine.runs.events import Emit, Evaluated, EvaluationProgress
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.epochs import Schedule, compile_step, train
from datm_engine.training.losses import hard_labels
from datm_engine.training.optimizers import Step, evaluation_step

PROGRESS_EVENTS = 20  # a training


@dataclass(frozen=True)
class TrainingSet:
    """What a network is trained on: images with label logits [n, classes]."""

    data: ImageSet
    lr: float
    epochs: int


@dataclass(frozen=True)
class _Row:
    """Networks to train on one set. number, total: of this row, and of the rows to measure."""

    set: str
    network: str
    repeats: int
    number: int = 0
    total: int = 1


def published_schedule(epochs: int, lr: float, batch: int, augmentation: Sequence[str]) -> Schedule:
    """`epochs` is E: epochs are numbered from 0 to E, both included."""
    return Schedule(range(epochs + 1), lr, batch, augmentation, decay_after=epochs // 2 + 1)


@dataclass(frozen=True)
class Evaluation:
    """Trains networks and tests them, as `config.evaluate` says.

    expert_baselines: needed where `config.evaluate.against` names subsets that experts choose. The
    repeats of a row are dealt out to ranks, with the same draws as on one. Every method that trains
    raises Stopped, at the end of an epoch.
    """

    config: Config
    data: PreparedData
    runtime: Runtime
    expert_baselines: ExpertBaselines | None = None
    _steps: dict[tuple[str, int], Step] = field(default_factory=dict)
    _: KW_ONLY
    emit: Emit

    def compare_random(self, known: Sequence[Evaluated] = ()) -> list[Evaluated]:
        """Measure the row of random images with the first network, if `config.evaluate.against`
        names it and it is not in `known`; settings are derived from it."""
        name, network = "random", self.config.evaluate.networks[0]
        is_known = any((row.set, row.network) == (name, network) for row in known)
        if is_known or name not in self.config.evaluate.against:
            return []
        row = self._measure_row(_Row(name, network, self.config.evaluate.repeats), None)
        self.emit(row)
        return [row]

    def compare(
        self,
        distilled: Mapping[str, SyntheticSet],
        rows: list[Evaluated],
        known: Sequence[Evaluated] = (),
    ) -> None:
        """Measure a row of test accuracy for every set and network, and append each to `rows`.

        distilled: the sets to evaluate beside those of `config.evaluate.against`. Rows of real
        images in `known` are not measured again. All images, which take longest, come last.
        """
        settings = self.config.evaluate
        measured = {(row.set, row.network): row for row in known if row.set not in distilled}
        sets = (*distilled, *settings.against)
        keys = [(name, network) for network in settings.networks for name in sets]
        keys.sort(key=lambda key: key[0] == "full")
        missing = [key for key in keys if key not in measured]
        for key in keys:
            if key in missing:
                name, network = key
                repeats = settings.full_repeats if name == "full" else settings.repeats
                row = _Row(name, network, repeats, missing.index(key), len(missing))
                measured[key] = self._measure_row(row, distilled.get(name))
                self.emit(measured[key])
            rows.append(measured[key])

    def _measure_row(self, row: _Row, synthetic: SyntheticSet | None) -> Evaluated:
        """Mean and (population) standard deviation over repeats, each with its own initial weights
        and, for "random", its own images."""
        began = time.monotonic()
        parts = [self.data.test] + ([self.data.validation] if len(self.data.validation) else [])
        with self._memory():
            training_set = self._training_set(row, synthetic)
            accuracies = self._accuracies(row, training_set, parts)
        # One tuple of accuracies for each part.
        on_test, *held_out = zip(*accuracies, strict=True)
        return Evaluated(
            set=row.set,
            network=row.network,
            accuracy_mean=statistics.fmean(on_test),
            accuracy_std=statistics.pstdev(on_test),
            repeats=row.repeats,
            images=len(training_set(0).data),
            iteration=synthetic.iteration if synthetic else None,
            seconds=time.monotonic() - began,
            validation_mean=statistics.fmean(held_out[0]) if held_out else None,
        )

    def score(self, candidate: SyntheticSet) -> float:
        """Percent on the part that `evaluate.selection` names: the held-out training images, or by
        the published rule the test images."""
        settings = self.config.evaluate
        part = self.data.test if settings.selection == "test" else self.data.validation
        row = _Row("candidate", "convnet", settings.selection_repeats)
        with self._memory():
            training_set = self._distilled(candidate)
            accuracies = self._accuracies(row, lambda repeat: training_set, [part])
        return statistics.fmean(accuracy for (accuracy,) in accuracies)

    def score_random_images(self) -> float:
        """Accuracy in percent of networks trained on random real images: `validation_mean` of the
        row "random". Measured on the held-out images or, if there are none, on the training images;
        never on test images."""
        part = self.data.validation if len(self.data.validation) else self.data.train
        row = _Row("random", self.config.evaluate.networks[0], self.config.evaluate.repeats)
        with self._memory():
            accuracies = self._accuracies(row, self._random_images, [part])
        return statistics.fmean(accuracy for (accuracy,) in accuracies)

    def _accuracies(
        self, row: _Row, training_set: Callable[[int], TrainingSet], parts: Sequence[ImageSet]
    ) -> list[list[float]]:
        """For every repeat, percent of each of the `parts`. training_set: of a repeat."""

        def train_and_test(repeat: int) -> list[float]:
            return self._train_and_test(row, repeat, training_set(repeat), parts)

        return self.runtime.ranks.map(train_and_test, range(row.repeats))

    def _memory(self) -> AbstractContextManager[None]:
        fix = half("evaluate.batch", self.config.evaluate.batch)
        return oom_as_error("training networks to evaluate", fix)

    def _training_set(
        self, row: _Row, synthetic: SyntheticSet | None
    ) -> Callable[[int], TrainingSet]:
        """What each repeat trains on."""
        if synthetic:
            shared = self._distilled(synthetic)
        elif row.set == "random":
            return self._random_images
        elif row.set == "full":
            shared = self._real(self.data.train, self.config.evaluate.full_epochs)
        else:
            assert self.expert_baselines is not None
            with self.runtime.ranks.stopping_together():
                number, check_stop = (row.number, row.total), self.runtime.check_stop_here
                subset = self.expert_baselines.choose(row.set, check_stop, number, emit=self.emit)
            shared = self._real(subset)
        return lambda repeat: shared

    def _distilled(self, synthetic: SyntheticSet) -> TrainingSet:
        place = self.runtime.place
        data = ImageSet(place(synthetic.images), place(synthetic.labels))
        return TrainingSet(data, synthetic.syn_lr, self.config.evaluate.epochs)

    def _random_images(self, repeat: int) -> TrainingSet:
        settings, data = self.config.distill, self.data
        seed = derive_seed(settings.seed, "random subset", repeat)
        return self._real(random_subset(data.train, data.classes, settings.ipc, seed))

    def _real(self, part: ImageSet, epochs: int | None = None) -> TrainingSet:
        settings = self.config.evaluate
        labels = self.runtime.place(hard_labels(part.labels, self.data.classes))
        return TrainingSet(
            ImageSet(part.images, labels), settings.real_lr, epochs or settings.epochs
        )

    def _train_and_test(
        self, row: _Row, repeat: int, training_set: TrainingSet, parts: Sequence[ImageSet]
    ) -> list[float]:
        """Percent of each of the `parts` that a new network classifies correctly."""
        seed = derive_seed(self.config.distill.seed, "evaluation", row.network, repeat)
        network = self._network(row.network, seed)
        every = max(1, training_set.epochs // PROGRESS_EVENTS)

        def after_epoch(epoch: int, theta: Tensor, total: Tensor) -> None:
            self.runtime.check_stop_here()
            if epoch % every == 0:
                self.emit(
                    EvaluationProgress(
                        set=row.set,
                        network=row.network,
                        repeat=repeat,
                        repeats=row.repeats,
                        epoch=epoch,
                        epochs=training_set.epochs,
                        row=row.number,
                        rows=row.total,
                    )
                )

        theta = train(
            self._step(row, training_set),
            network.initial(),
            training_set.data,
            self._schedule(training_set),
            partial(generator, seed, "evaluation epoch"),
            after_epoch,
        )
        # Only networks with batch normalization have statistics.
        measure_statistics(network, theta, training_set.data.images)
        return [network.accuracy(theta, part.images, part.labels) for part in parts]

    def _network(self, name: str, seed: int) -> FlatNetwork:
        settings, data = self.config.network, self.data
        return build_flat(name, settings, data.shape, data.classes, seed, self.runtime)

    def _schedule(self, training_set: TrainingSet) -> Schedule:
        batch, augmentation = self.config.evaluate.batch, self.config.dataset.augmentation
        return published_schedule(training_set.epochs, training_set.lr, batch, augmentation)

    def _step(self, row: _Row, training_set: TrainingSet) -> Step:
        """The step of a network on batches of a set of this size, compiled where that pays; it
        serves all weights of the network."""
        key = row.network, len(training_set.data)
        if key not in self._steps:
            network, settings = self._network(row.network, seed=0), self.config.evaluate
            self._steps[key] = compile_step(
                self.runtime,
                f"steps of {row.network} on {len(training_set.data):,} images",
                evaluation_step(
                    network, settings.momentum, settings.weight_decay, mirrored=settings.mirrored
                ),
                network.initial(),
                training_set.data,
                self._schedule(training_set),
                self._trainings(row) * (training_set.epochs + 1),
                emit=self.emit,
            )
        return self._steps[key]

    def _trainings(self, row: _Row) -> int:
        """How many networks are trained on sets of this size, candidates included."""
        settings, distill = self.config.evaluate, self.config.distill
        if row.set == "full":
            return settings.full_repeats
        candidates = 0
        if row.network == "convnet" and settings.selection != "last":
            candidates = settings.selection_repeats * distill.iterations
        rows = 1 + sum(name != "full" for name in settings.against)
        return settings.repeats * rows + candidates // settings.selection_interval
