"""What the stages of a run compute: how many steps of which network on which batches."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from datm_engine.estimation.operations import FLOAT, NetworkSize, Operations, network_size
from datm_engine.settings.config import Config
from datm_engine.settings.convnet_sizes import Size
from datm_engine.settings.derived.early_stop import estimated_epochs
from datm_engine.settings.expert_measurements import (
    MEASURED_EXPERTS,
    MEASURED_IMAGES,
    SCORERS,
    early_epoch,
    passes,
)

# "derivatives": of a pullback whose graph was kept on the way forward.
Kind = Literal["expert", "gsam", "evaluation", "forward", "gradient", "pullback", "derivatives"]

NOTHING = Operations()
PROCESS_MEMORY = 500_000_000  # of Python with torch, before any data
PREDICTED_AT_ONCE = 1000  # images of a forward pass without a graph
MATCHED_SEGMENTS = 12  # by calibration, with two values of η: `calibration.derivation`


@dataclass(frozen=True)
class Steps:
    """`count` steps of one kind. network: its name in `networks.zoo`. function: the name of the
    function that a run compiles for them; empty: none."""

    kind: Kind
    network: str
    batch: int
    count: float
    function: str = ""


@dataclass(frozen=True)
class Stage:
    """A stage of a run. memory: bytes at its peak. disk: bytes that stay."""

    name: str
    steps: Sequence[Steps]
    memory: float = 0.0
    disk: float = 0.0
    other: Operations = NOTHING


def operations(steps: Steps, size: NetworkSize) -> Operations:
    """What one of the steps computes."""
    batch = steps.batch
    match steps.kind:
        case "forward":
            return size.forward(batch)
        case "gradient":
            return size.gradient(batch)
        case "pullback":
            return size.pullback(batch)
        case "derivatives":
            return size.pullback(batch) + -1 * size.gradient(batch)
        case "gsam":
            return 2 * size.gradient(batch) + 3 * size.update()
        case "expert" | "evaluation":
            return size.gradient(batch) + size.update()


@dataclass(frozen=True)
class Workload:
    """Of a run with these settings, from its beginning.

    images, held_out: real ones to train on and to measure on. graph_memory: bytes for graphs that
    are kept. trained: experts that are on disk. derives: whether settings are derived.
    """

    config: Config
    size: Size
    classes: int
    images: int
    held_out: int = 0
    graph_memory: float = 0.0
    trained: int = 0
    derives: bool = False

    def stages(self) -> list[Stage]:
        calibration = [self._calibration()] if self.derives else []
        first = [self._dataset(), self._experts(), *calibration]
        return [*first, self._distill(), self._evaluate(), self._real_images()]

    def network(self, name: str = "convnet") -> NetworkSize:
        return network_size(name, self.config.network, self.size, self.classes)

    @property
    def _data_memory(self) -> float:
        """float32, and as much again while images are prepared."""
        images = self.images + self.held_out
        return 2 * FLOAT * images * math.prod(self.size) + PROCESS_MEMORY

    def _dataset(self) -> Stage:
        pixels, images = math.prod(self.size), self.images + self.held_out
        whitening = NOTHING
        if self.config.dataset.preprocessing == "zca":  # covariance, eigenvectors, products
            flops = 2 * (self.images + images) * pixels**2 + 20 * pixels**3
            whitening = Operations(flops, FLOAT * (4 * images * pixels + 20 * pixels**2), 100)
        return Stage("dataset", (), self._data_memory, images * pixels, whitening)

    def _experts(self) -> Stage:
        settings, epochs = self.config.experts, self._epochs_of_experts
        network = self.network()
        missing = 0 if settings.imported else max(0, settings.count - self.trained)
        trained = missing * epochs
        if settings.order == "easy-first" and missing:
            trained += SCORERS * early_epoch(epochs)
        kind: Kind = "gsam" if settings.optimizer == "gsam" else "expert"
        batch = min(settings.batch, self.images)
        steps = [
            self._epochs(kind, "convnet", batch, self.images, trained, "expert steps"),
            *self._predictions("convnet", missing * (self.images + self.held_out)),
        ]
        snapshots = (epochs + 1) * network.weights
        return Stage(
            "experts",
            steps,
            self._data_memory + network.step_bytes(batch) + FLOAT * snapshots,
            missing * snapshots * (2 if settings.snapshots == "bfloat16" else 4),
        )

    def _real_images(self) -> Stage:
        """Networks trained on real images, beside which the distilled set is shown."""
        settings, experts = self.config.evaluate, self.config.experts
        needed = passes(settings.against, experts.count, self._epochs_of_experts)
        steps = [*self._predictions("convnet", needed * self.images)]
        for name in settings.networks:
            subsets = sum(subset != "full" for subset in settings.against)
            steps.append(self._evaluation(name, self._synthetic, subsets * settings.repeats))
            if "full" in settings.against:
                repeats, epochs = settings.full_repeats, settings.full_epochs
                steps.append(self._evaluation(name, self.images, repeats, epochs))
        return Stage("real images", steps, self._evaluation_memory(full=True))

    def _calibration(self) -> Stage:
        images = min(MEASURED_IMAGES, self.images) + self.held_out
        snapshots = MEASURED_EXPERTS * (self._epochs_of_experts + 1)
        steps = [*self._predictions("convnet", snapshots * images)]
        if "random" not in self.config.evaluate.against:
            repeats, name = self.config.evaluate.repeats, self.config.evaluate.networks[0]
            steps.append(self._evaluation(name, self._synthetic, repeats))
        return Stage("calibration", [*steps, *self._matching(MATCHED_SEGMENTS)])

    def _distill(self) -> Stage:
        settings, network = self.config.distill, self.network()
        learned = self._synthetic * (math.prod(self.size) + self.classes)
        weights = FLOAT * settings.syn_steps * network.weights
        graphs = (self._kept + 1) * network.graph_bytes(self._student_batch)
        evaluate, steps = self.config.evaluate, [*self._matching(settings.iterations)]
        if evaluate.selection != "last":
            candidates = settings.iterations // evaluate.selection_interval
            trainings = candidates * evaluate.selection_repeats
            steps.append(self._evaluation("convnet", self._synthetic, trainings))
        return Stage(
            "distill",
            steps,
            self._data_memory + graphs + weights,
            FLOAT * learned * (2 + settings.iterations // settings.sample_interval // 4),
        )

    def _evaluate(self) -> Stage:
        settings = self.config.evaluate
        # The set that was selected and, where it is another one, the last.
        sets = 1 if settings.selection == "last" else 2
        steps = [
            self._evaluation(name, self._synthetic, sets * settings.repeats)
            for name in settings.networks
        ]
        return Stage("evaluate", steps, self._evaluation_memory(full=False))

    @property
    def _epochs_of_experts(self) -> int:
        epochs = self.config.snapshot_epochs
        return estimated_epochs(epochs, self.images) if self.config.experts.early_stop else epochs

    @property
    def _synthetic(self) -> int:
        return self.config.distill.ipc * self.classes

    @property
    def _student_batch(self) -> int:
        batch = min(self.config.distill.batch_syn, self._synthetic)
        return 2 * batch if self.config.distill.mirrored else batch

    @property
    def _kept(self) -> int:
        """Steps whose graphs are kept on the way forward."""
        graph = self.network().graph_bytes(self._student_batch)
        return min(self.config.distill.syn_steps, int(self.graph_memory // graph))

    def _matching(self, iterations: int) -> Iterator[Steps]:
        batch, steps, kept = self._student_batch, self.config.distill.syn_steps, self._kept
        name = "student steps"
        yield Steps("gradient", "convnet", batch, iterations * steps, name)
        yield Steps("pullback", "convnet", batch, iterations * (steps - kept), name)
        yield Steps("derivatives", "convnet", batch, iterations * kept, name)

    def _evaluation(
        self, network: str, images: int, trainings: int, epochs: int | None = None
    ) -> Steps:
        settings = self.config.evaluate
        total = trainings * ((settings.epochs if epochs is None else epochs) + 1)
        name = f"steps of {network} on {images:,} images"
        steps = self._epochs("evaluation", network, settings.batch, images, total, name)
        if settings.mirrored:
            return Steps(steps.kind, network, 2 * steps.batch, steps.count, name)
        return steps

    def _epochs(
        self, kind: Kind, network: str, batch: int, images: int, epochs: int, function: str
    ) -> Steps:
        """Steps of so many epochs, of batches of equal size."""
        steps = -(-images // min(batch, images))
        return Steps(kind, network, round(images / steps), epochs * steps, function)

    def _predictions(self, network: str, images: int) -> Iterator[Steps]:
        if images:
            batch = min(PREDICTED_AT_ONCE, images)
            yield Steps("forward", network, batch, images / batch)

    def _evaluation_memory(self, *, full: bool) -> float:
        settings, images = self.config.evaluate, self._synthetic
        if full and "full" in settings.against:
            images = max(images, self.images)
        batch = min(settings.batch, images) * (2 if settings.mirrored else 1)
        networks = [self.network(name) for name in settings.networks]
        return self._data_memory + max(network.step_bytes(batch) for network in networks)
