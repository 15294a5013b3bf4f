"""What this machine can do, and what each stage would take on it, from a short calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.compilation import compiled, graph_size
from datm_engine.compute.out_of_memory import wanted_for
from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import Draw
from datm_engine.distillation.matching import Gradient, Step, build_graph, student_gradient
from datm_engine.evaluation.expert_baselines import passes
from datm_engine.experts.curriculum import scoring_epochs
from datm_engine.experts.train import expert_precision
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Emit
from datm_engine.settings.config import Config
from datm_engine.training.loop import training_step
from datm_engine.training.steps import expert_step

_MOST = 128  # images a calibrated step; larger batches are taken to cost in proportion


@dataclass(frozen=True)
class Estimate:
    """Of a stage: seconds without those of compiling, bytes of memory, bytes on disk."""

    stage: str
    seconds: float
    memory: int
    disk: int


def compiler_fault(runtime: Runtime) -> str:
    """Why a tiny function cannot be compiled here; nothing if it can."""
    try:
        square = torch.compile(lambda x: (x * x).sum(), dynamic=False, fullgraph=True)
        square(torch.ones(64, device=runtime.device))
    except Exception as problem:  # whatever it is, it is told
        return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
    return ""


def estimate(
    config: Config,
    shape: tuple[int, int, int],
    classes: int,
    images: int,
    runtime: Runtime,
    *,
    emit: Emit,
) -> list[Estimate]:
    """For experts, distill and evaluate, all of it done anew, its steps compiled where a run would
    compile them. shape: channels, height, width; `images`: for training.
    Raises DatmError where a step runs out of memory."""
    stages = Calibration(config, shape, classes, images, runtime, emit=emit)
    smaller = f"--set network.width={max(1, config.network.width // 2)}"
    with wanted_for("a step", smaller if runtime.device.type == "cpu" else "--device cpu"):
        experts = stages.experts()
        distill = stages.distill()
        evaluate = stages.evaluate()
    return [experts, distill, evaluate]


class Calibration:
    """Steps timed on noise of the right shape, with the network of the settings."""

    def __init__(
        self,
        config: Config,
        shape: tuple[int, int, int],
        classes: int,
        images: int,
        runtime: Runtime,
        *,
        emit: Emit,
    ) -> None:
        self.emit = emit
        self.config, self.runtime = config, runtime
        self.shape, self.classes = shape, classes
        self.images = images
        self.pixels = shape[0] * shape[1] * shape[2]
        # The training images, and as many again while they are prepared.
        self.data = 2 * 4 * self.images * self.pixels
        if runtime.device.type == "cpu":
            self.data += runtime.peak_memory  # the process itself, which needs this much to be here

    def experts(self) -> Estimate:
        settings, epochs = self.config.experts, self.config.snapshot_epochs
        runtime = self.runtime.using(expert_precision(settings, self.runtime.precision))
        network, batch = self._network("convnet", runtime), min(settings.batch, self.images)
        images, labels = self._noise(batch)
        theta, classes = network.initial(), labels.argmax(dim=1)
        given = theta, torch.zeros_like(theta), images, classes
        trained = settings.count * epochs + scoring_epochs(self.config, self.runtime.ranks)
        steps = trained * self.images / len(images)
        step = compiled(
            runtime,
            "expert steps",
            expert_step(network, settings),
            lambda step: step(*given),
            round(steps),
            small_kernels=True,
            emit=self.emit,
        )
        seconds = steps * _seconds(lambda: step(*given)[0])
        self.runtime.using(self.runtime.precision)
        snapshots = (epochs + 1) * len(theta)
        return Estimate(
            "experts",
            seconds,
            self.data + self._step_memory(network, batch) + 4 * snapshots,
            settings.count * snapshots * (2 if settings.snapshots == "bfloat16" else 4),
        )

    def distill(self) -> Estimate:
        settings, network = self.config.distill, self._network("convnet", self.runtime)
        batch = min(settings.batch_syn, settings.ipc * self.classes)
        images, labels = self._noise(batch)
        theta, share = network.initial(), batch / len(images)
        step = Step(torch.arange(len(images), device=images.device), Draw(None, images))

        def forward(gradient: Gradient) -> Tensor:
            with torch.no_grad():
                return gradient(theta, images, labels)

        def back(gradient: Gradient) -> Tensor:
            graph = build_graph(gradient, theta, images, labels, step)
            return torch.autograd.grad(graph.g, graph.leaves, theta)[0]

        gradient = compiled(
            self.runtime,
            "student steps",
            student_gradient(network, mirrored=settings.mirrored),
            lambda gradient: (forward(gradient), back(gradient)),
            round(settings.iterations * settings.syn_steps * share),
            emit=self.emit,
        )
        graph = build_graph(gradient, theta, images, labels, step)
        one = round(graph_size(graph.g) * share)
        kept = min(settings.syn_steps, self.runtime.memory // max(1, one))
        rebuilt = _seconds(lambda: forward(gradient)) * (settings.syn_steps - kept)
        kept_or_not = _seconds(lambda: back(gradient)) * settings.syn_steps
        learned = settings.ipc * self.classes * (self.pixels + self.classes)
        return Estimate(
            "distill",
            settings.iterations * share * (rebuilt + kept_or_not),
            (kept + 1) * one + 4 * settings.syn_steps * len(theta) + self.data,
            4 * learned * (2 + settings.iterations // settings.sample_interval // 4),
        )

    def evaluate(self) -> Estimate:
        settings, distill = self.config.evaluate, self.config.distill
        count, seconds, memory = distill.ipc * self.classes, self._choosing(), 0
        for name in settings.networks:
            # The set that was selected, the last one, and real images.
            sets = 2 + sum(name != "full" for name in settings.against)
            trainings = settings.repeats * sets
            if name == "convnet" and settings.selection != "last":
                candidates = distill.iterations // settings.selection_interval
                trainings += settings.selection_repeats * candidates
            seconds += self._trainings(name, count, trainings * (settings.epochs + 1))
            if "full" in settings.against:
                epochs = settings.full_repeats * (settings.full_epochs + 1)
                seconds += self._trainings(name, self.images, epochs)
            batch = min(settings.batch, max(count, self.images * ("full" in settings.against)))
            network = self._network(name, self.runtime)
            seen = 2 * batch if settings.mirrored else batch
            memory = max(memory, self._step_memory(network, seen))
        return Estimate("evaluate", seconds, self.data + memory, 0)

    def _choosing(self) -> float:
        """Seconds for the subsets that experts choose."""
        settings, network = self.config.experts, self._network("convnet", self.runtime)
        needed = passes(self.config.evaluate.against, settings.count, self.config.snapshot_epochs)
        if not needed:
            return 0.0
        (images, _), theta = self._noise(self.images), network.initial()
        a_pass = _seconds(lambda: network.predict(theta, images)) * self.images / len(images)
        return needed * a_pass

    def _trainings(self, name: str, count: int, epochs: int) -> float:
        """Seconds that so many epochs on `count` images take."""
        settings, network = self.config.evaluate, self._network(name, self.runtime)
        images, labels = self._noise(min(settings.batch, count))
        theta, rate = network.initial(), self.runtime.place(torch.tensor(0.01))
        given = theta, torch.zeros_like(theta), rate, images, labels
        steps = epochs * count / len(images)
        step = compiled(
            self.runtime,
            f"steps of {name} on {count:,} images",
            training_step(
                network, settings.momentum, settings.weight_decay, mirrored=settings.mirrored
            ),
            lambda step: step(*given),
            round(steps),
            small_kernels=True,
            emit=self.emit,
        )
        return steps * _seconds(lambda: step(*given)[0])

    def _noise(self, batch: int) -> tuple[Tensor, Tensor]:
        """Images and label logits of a batch, or of as much of it as is calibrated with."""
        count, device = min(batch, _MOST), self.runtime.device
        images = torch.randn(count, *self.shape, device=device)
        return images, torch.randn(count, self.classes, device=device)

    def _network(self, name: str, runtime: Runtime) -> FlatNetwork:
        settings = self.config.network
        channels, height, width = self.shape
        module = build(
            name,
            channels=channels,
            size=(height, width),
            classes=self.classes,
            width=settings.width,
            depth=settings.depth,
            norm=settings.norm,
            seed=0,
        )
        return FlatNetwork(module.to(runtime.device), runtime.compute)

    def _step_memory(self, network: FlatNetwork, batch: int) -> int:
        """Bytes of a training step on so many images: what its backward pass needs, and as much
        again while that runs."""
        images, labels = self._noise(batch)
        logits = network(network.initial().requires_grad_(), images)
        return 2 * graph_size(F.cross_entropy(logits, labels)) * batch // len(images)


def _seconds(step: Callable[[], Tensor]) -> float:
    """The better of two, after one to warm up; reading a number waits for the device."""
    float(step().flatten()[0])
    times = []
    for _ in range(2):
        began = time.perf_counter()
        float(step().flatten()[0])
        times.append(time.perf_counter() - began)
    return min(times)
