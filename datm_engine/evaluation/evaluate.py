"""The third stage: how well networks do that were trained on the distilled set, beside networks
trained on as many real images, chosen in several ways, and on all of them, by the same protocol."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field

import torch

from datm_engine.compute.compilation import compiled
from datm_engine.compute.runtime import Runtime, derive_seed
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.distillation.matching import hard_labels
from datm_engine.evaluation.baselines import random_subset
from datm_engine.evaluation.expert_baselines import ExpertSelection
from datm_engine.evaluation.training import Material, Schedule, TrainingStep, train, training_step
from datm_engine.networks.batchnorm import measure_statistics
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Evaluated, EvaluationProgress, Event
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet

PROGRESS_EVENTS = 20  # a training


@dataclass(frozen=True)
class Evaluation:
    """Trains networks and tests them, as `config.evaluate` says.

    `stop()` is asked after every epoch; once it is true, no row that is not finished is given.
    `subsets` are needed where `config.evaluate.against` names what experts choose.
    The repeats of a row are dealt out to the ranks, with the same draws as on one.
    """

    config: Config
    data: PreparedData
    runtime: Runtime
    stop: Callable[[], bool] = lambda: False
    subsets: ExpertSelection | None = None
    steps: dict[tuple[str, int], TrainingStep] = field(default_factory=dict)

    def references(
        self, known: Sequence[Evaluated] = ()
    ) -> Generator[Event, None, list[Evaluated]]:
        """The rows of real images for the first network: what there is to beat, so that a
        distillation can be watched beside them. Those in `known` are not made again."""
        return (yield from self._rows({}, self.config.evaluate.networks[:1], known))

    def compare(
        self, distilled: Mapping[str, SyntheticSet], known: Sequence[Evaluated] = ()
    ) -> Generator[Event, None, list[Evaluated]]:
        """A row of test accuracy for every set and network.

        `distilled` names the sets to evaluate beside those of `config.evaluate.against`. A row is
        mean and (population) standard deviation over the repeats, each with initial weights and,
        for "random", images of its own; the other subsets are the same each time. Rows of real
        images in `known` are taken as they are.
        """
        return (yield from self._rows(distilled, self.config.evaluate.networks, known))

    def _rows(
        self,
        distilled: Mapping[str, SyntheticSet],
        networks: Sequence[str],
        known: Sequence[Evaluated],
    ) -> Generator[Event, None, list[Evaluated]]:
        have = {(row.set, row.network): row for row in known if row.set not in distilled}
        names = [*distilled, *self.config.evaluate.against]
        wanted = [(name, network) for network in networks for name in names]
        missing = [pair for pair in wanted if pair not in have]
        rows: list[Evaluated] = []
        for name, network in wanted:
            row = have.get((name, network))
            if row is None:
                place = (missing.index((name, network)), len(missing))
                row = yield from self._row(name, distilled.get(name), network, place)
                if row is None:
                    return rows
                yield row
            rows.append(row)
        return rows

    def _row(
        self, name: str, synthetic: SyntheticSet | None, network: str, place: tuple[int, int]
    ) -> Generator[Event, None, Evaluated | None]:
        """Of a distilled set, or without one of the real images called `name`; None if stopped.
        `place`: the row's number, and of how many."""
        settings, began = self.config.evaluate, time.monotonic()
        repeats = settings.full_repeats if name == "full" else settings.repeats
        judges = [self.data.test] + ([self.data.validation] if len(self.data.validation) else [])
        material = yield from self._material(name, synthetic, place)
        if material is None:
            return None
        measured = yield from self._measured(material, network, repeats, judges, place)
        if measured is None:
            return None
        on_test, *held_out = zip(*measured, strict=True)
        return Evaluated(
            set=name,
            network=network,
            accuracy_mean=statistics.fmean(on_test),
            accuracy_std=statistics.pstdev(on_test),
            repeats=repeats,
            images=len(material(0).images),
            iteration=synthetic.iteration if synthetic else None,
            seconds=time.monotonic() - began,
            validation_mean=statistics.fmean(held_out[0]) if held_out else None,
        )

    def score(self, candidate: SyntheticSet) -> Generator[Event, None, float | None]:
        """Accuracy on the part that `selection` names: the held-out part of the training images,
        or by the published rule the test images. None if stopped."""
        settings = self.config.evaluate
        judge = self.data.test if settings.selection == "test" else self.data.validation
        material = self._distilled("candidate", candidate)
        measured = yield from self._measured(
            lambda repeat: material, "convnet", settings.selection_repeats, [judge]
        )
        return None if measured is None else statistics.fmean(row[0] for row in measured)

    def of_random_images(self) -> Generator[Event, None, float | None]:
        """Percent of the held-out images, or without any of the training images, that networks get
        right which were trained on random real ones: what a row of these says of held-out images,
        and nothing of test images. None if stopped."""
        judge = self.data.validation if len(self.data.validation) else self.data.train
        measured = yield from self._measured(
            lambda repeat: self._real("random", self._random(repeat)),
            self.config.evaluate.networks[0],
            self.config.evaluate.repeats,
            [judge],
        )
        return None if measured is None else statistics.fmean(row[0] for row in measured)

    def _measured(
        self,
        material: Callable[[int], Material],
        network: str,
        repeats: int,
        judges: Sequence[Part],
        place: tuple[int, int] = (0, 1),
    ) -> Generator[Event, None, list[list[float]] | None]:
        """For every repeat, percent of each judge that its network gets right; None if stopped on
        any rank. `material(repeat)`: what it is trained on."""
        ranks = self.runtime.ranks
        own: dict[int, list[float] | None] = {}
        for repeat in ranks.deal(range(repeats)):
            own[repeat] = yield from self._accuracies(
                material(repeat), network, repeat, repeats, judges, place
            )
            if own[repeat] is None:
                break
        all_of_them = {key: value for theirs in ranks.gather(own) for key, value in theirs.items()}
        found = [row for _, row in sorted(all_of_them.items()) if row is not None]
        return found if len(found) == repeats else None

    def _distilled(self, name: str, synthetic: SyntheticSet) -> Material:
        return Material(
            name,
            self.runtime.place(synthetic.images),
            self.runtime.place(synthetic.labels),
            synthetic.syn_lr,
            self.config.evaluate.epochs,
        )

    def _material(
        self, name: str, synthetic: SyntheticSet | None, place: tuple[int, int]
    ) -> Generator[Event, None, Callable[[int], Material] | None]:
        """What each repeat trains on; None if stopped on any rank."""
        if name == "random" and not synthetic:
            return lambda repeat: self._real(name, self._random(repeat))
        if synthetic:
            given = self._distilled(name, synthetic)
        elif name == "full":
            given = self._real(name, self.data.train)
        else:
            assert self.subsets is not None
            chosen = yield from self.subsets.choose(name, place, self.stop)
            stopped = self.runtime.ranks.any(chosen is None)
            if chosen is None or stopped:
                return None
            given = self._real(name, chosen)
        return lambda repeat: given

    def _random(self, repeat: int) -> Part:
        settings, data = self.config.distill, self.data
        seed = derive_seed(settings.seed, "random subset", repeat)
        return random_subset(data.train, data.classes, settings.ipc, seed)

    def _real(self, name: str, part: Part) -> Material:
        settings = self.config.evaluate
        labels = self.runtime.place(hard_labels(part.labels, self.data.classes))
        epochs = settings.full_epochs if name == "full" else settings.epochs
        return Material(name, part.images, labels, settings.real_lr, epochs)

    def _accuracies(
        self,
        material: Material,
        network_name: str,
        repeat: int,
        repeats: int,
        judges: Sequence[Part],
        place: tuple[int, int] = (0, 1),
    ) -> Generator[Event, None, list[float] | None]:
        """Percent of each judge that a fresh network gets right; None if stopped."""
        config, settings = self.config, self.config.evaluate
        seed = derive_seed(config.distill.seed, "evaluation", network_name, repeat)
        network = self._network(network_name, seed)
        step = yield from self._step(network_name, material)
        schedule = Schedule(material.epochs, material.lr, settings.batch)
        training = train(
            step,
            network.initial(),
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
                measure_statistics(network, end.value, material.images)
                return [network.accuracy(end.value, j.images, j.labels) for j in judges]
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
                    row=place[0],
                    rows=place[1],
                )

    def _network(self, name: str, seed: int) -> FlatNetwork:
        channels, height, width = self.data.shape
        settings = self.config.network
        module = build(
            name,
            channels=channels,
            size=(height, width),
            classes=self.data.classes,
            width=settings.width,
            depth=settings.depth,
            norm=settings.norm,
            seed=seed,
        )
        runtime = self.runtime
        return FlatNetwork(module.to(runtime.device, runtime.dtype), runtime.compute)

    def _step(self, network_name: str, material: Material) -> Generator[Event, None, TrainingStep]:
        """The step of a network on batches of such a material's sizes, compiled where that pays;
        made once, whatever weights it is used with."""
        settings, count = self.config.evaluate, len(material.images)
        known = self.steps.get((network_name, count))
        if known is not None:
            return known
        network = self._network(network_name, seed=0)
        theta, rate = network.initial(), self.runtime.place(torch.tensor(material.lr))
        sizes = {min(settings.batch, count), count % settings.batch or settings.batch}

        def exercise(step: TrainingStep) -> None:
            for size in sizes:
                images, labels = material.images[:size].clone(), material.labels[:size].clone()
                step(theta, torch.zeros_like(theta), rate, images, labels)

        batches = -(-count // settings.batch)
        repeats = self._trainings(network_name, material) * (material.epochs + 1) * batches
        step = yield from compiled(
            self.runtime,
            f"steps of {network_name} on {count:,} images",
            training_step(
                network, settings.momentum, settings.weight_decay, mirrored=settings.mirrored
            ),
            exercise,
            repeats // len(sizes),
            small_kernels=True,
        )
        self.steps[network_name, count] = step
        return step

    def _trainings(self, network_name: str, material: Material) -> int:
        """How many networks will be trained on such a material, candidates too."""
        settings, distill = self.config.evaluate, self.config.distill
        if material.name == "full":
            return settings.full_repeats
        candidates = 0
        if network_name == "convnet" and settings.selection != "last":
            candidates = settings.selection_repeats * distill.iterations
        rows = 1 + sum(name != "full" for name in settings.against)
        return settings.repeats * rows + candidates // settings.selection_interval
