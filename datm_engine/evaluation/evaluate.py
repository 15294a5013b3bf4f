"""The third stage: how well networks do that were trained on the distilled set, beside networks
trained on as many real images, chosen in several ways, and on all of them, by the same protocol."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import KW_ONLY, dataclass, field

import torch

from datm_engine.compute.compilation import compiled
from datm_engine.compute.runtime import Runtime, derive_seed
from datm_engine.data.prepared import Part, PreparedData
from datm_engine.distillation.matching import hard_labels
from datm_engine.evaluation.baselines import random_subset
from datm_engine.evaluation.expert_baselines import ExpertSelection
from datm_engine.networks.batchnorm import measure_statistics
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Emit, Evaluated, EvaluationProgress
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.loop import Material, Schedule, TrainingStep, train, training_step

PROGRESS_EVENTS = 20  # a training


@dataclass(frozen=True)
class Evaluation:
    """Trains networks and tests them, as `config.evaluate` says.

    Stopped is raised at the end of an epoch. `subsets` are needed where `config.evaluate.against`
    names what experts choose. The repeats of a row are dealt out to the ranks, with the same draws
    as on one.
    """

    config: Config
    data: PreparedData
    runtime: Runtime
    subsets: ExpertSelection | None = None
    steps: dict[tuple[str, int], TrainingStep] = field(default_factory=dict)
    _: KW_ONLY
    emit: Emit

    def references(self, known: Sequence[Evaluated] = ()) -> list[Evaluated]:
        """The rows of real images for the first network: what there is to beat, so that a
        distillation can be watched beside them. Those in `known` are not made again."""
        rows: list[Evaluated] = []
        self._measure_rows({}, self.config.evaluate.networks[:1], known, rows)
        return rows

    def compare(
        self,
        distilled: Mapping[str, SyntheticSet],
        rows: list[Evaluated],
        known: Sequence[Evaluated] = (),
    ) -> None:
        """Append to `rows` one of test accuracy for every set and network, each as soon as it is
        measured, so that those before a stop are kept.

        `distilled` names the sets to evaluate beside those of `config.evaluate.against`. A row is
        mean and (population) standard deviation over the repeats, each with initial weights and,
        for "random", images of its own; the other subsets are the same each time. Rows of real
        images in `known` are taken as they are.
        """
        self._measure_rows(distilled, self.config.evaluate.networks, known, rows)

    def _measure_rows(
        self,
        distilled: Mapping[str, SyntheticSet],
        networks: Sequence[str],
        known: Sequence[Evaluated],
        rows: list[Evaluated],
    ) -> None:
        have = {(row.set, row.network): row for row in known if row.set not in distilled}
        names = [*distilled, *self.config.evaluate.against]
        wanted = [(name, network) for network in networks for name in names]
        missing = [pair for pair in wanted if pair not in have]
        for name, network in wanted:
            row = have.get((name, network))
            if row is None:
                place = (missing.index((name, network)), len(missing))
                row = self._row(name, distilled.get(name), network, place)
                self.emit(row)
            rows.append(row)

    def _row(
        self, name: str, synthetic: SyntheticSet | None, network: str, place: tuple[int, int]
    ) -> Evaluated:
        """Of a distilled set, or without one of the real images called `name`.
        `place`: the row's number, and of how many."""
        settings, began = self.config.evaluate, time.monotonic()
        repeats = settings.full_repeats if name == "full" else settings.repeats
        judges = [self.data.test] + ([self.data.validation] if len(self.data.validation) else [])
        material = self._material(name, synthetic, place)
        measured = self._measured(material, network, repeats, judges, place)
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

    def score(self, candidate: SyntheticSet) -> float:
        """Accuracy on the part that `selection` names: the held-out part of the training images,
        or by the published rule the test images."""
        settings = self.config.evaluate
        judge = self.data.test if settings.selection == "test" else self.data.validation
        material = self._distilled("candidate", candidate)
        measured = self._measured(
            lambda repeat: material, "convnet", settings.selection_repeats, [judge]
        )
        return statistics.fmean(row[0] for row in measured)

    def of_random_images(self) -> float:
        """Percent of the held-out images, or without any of the training images, that networks get
        right which were trained on random real ones: what a row of these says of held-out images,
        and nothing of test images."""
        judge = self.data.validation if len(self.data.validation) else self.data.train
        measured = self._measured(
            lambda repeat: self._real("random", self._random(repeat)),
            self.config.evaluate.networks[0],
            self.config.evaluate.repeats,
            [judge],
        )
        return statistics.fmean(row[0] for row in measured)

    def _measured(
        self,
        material: Callable[[int], Material],
        network: str,
        repeats: int,
        judges: Sequence[Part],
        place: tuple[int, int] = (0, 1),
    ) -> list[list[float]]:
        """For every repeat, percent of each judge that its network gets right.
        `material(repeat)`: what it is trained on."""
        ranks = self.runtime.ranks
        own: dict[int, list[float]] = {}
        with ranks.stopping_together():
            for repeat in ranks.deal(range(repeats)):
                own[repeat] = self._accuracies(
                    material(repeat), network, repeat, repeats, judges, place
                )
        of_all = {key: value for theirs in ranks.gather(own) for key, value in theirs.items()}
        return [of_all[repeat] for repeat in range(repeats)]

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
    ) -> Callable[[int], Material]:
        """What each repeat trains on."""
        if name == "random" and not synthetic:
            return lambda repeat: self._real(name, self._random(repeat))
        if synthetic:
            given = self._distilled(name, synthetic)
        elif name == "full":
            given = self._real(name, self.data.train)
        else:
            assert self.subsets is not None
            with self.runtime.ranks.stopping_together():
                chosen = self.subsets.choose(
                    name, self.runtime.check_stop_here, place, emit=self.emit
                )
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
    ) -> list[float]:
        """Percent of each judge that a fresh network gets right."""
        config, settings = self.config, self.config.evaluate
        seed = derive_seed(config.distill.seed, "evaluation", network_name, repeat)
        network = self._network(network_name, seed)
        step = self._step(network_name, material)
        schedule = Schedule(material.epochs, material.lr, settings.batch)
        every = max(1, material.epochs // PROGRESS_EVENTS)

        def after_epoch(epoch: int) -> None:
            self.runtime.check_stop_here()
            if epoch % every == 0:
                self.emit(
                    EvaluationProgress(
                        set=material.name,
                        network=network_name,
                        repeat=repeat,
                        repeats=repeats,
                        epoch=epoch,
                        epochs=material.epochs,
                        row=place[0],
                        rows=place[1],
                    )
                )

        theta = train(
            step,
            network.initial(),
            material.images,
            material.labels,
            schedule,
            config.dataset.augmentation,
            seed,
            after_epoch,
        )
        measure_statistics(network, theta, material.images)
        return [network.accuracy(theta, judge.images, judge.labels) for judge in judges]

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

    def _step(self, network_name: str, material: Material) -> TrainingStep:
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
        step = compiled(
            self.runtime,
            f"steps of {network_name} on {count:,} images",
            training_step(
                network, settings.momentum, settings.weight_decay, mirrored=settings.mirrored
            ),
            exercise,
            repeats // len(sizes),
            small_kernels=True,
            emit=self.emit,
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
