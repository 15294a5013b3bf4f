"""What this machine can do, and what each stage takes on it, estimated from a few timed steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.compilation import compiled, graph_size
from datm_engine.compute.memory_errors import half, on_cpu, oom_as_error
from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import Draw
from datm_engine.data.image_sets import ImageSet
from datm_engine.distillation.batches import Step as StudentStep
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import build_graph
from datm_engine.evaluation.baselines import passes
from datm_engine.experts.curriculum import scorer_epochs
from datm_engine.experts.train import expert_precision
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build_flat
from datm_engine.runs.events import Emit
from datm_engine.settings.config import Config
from datm_engine.training.epochs import Schedule, compile_step
from datm_engine.training.losses import Gradient, student_gradient
from datm_engine.training.optimizers import Step, evaluation_step, expert_step

MOST_IMAGES = 128  # in a timed step; a larger batch is taken to cost in proportion


@dataclass(frozen=True)
class Estimate:
    """Of a stage: seconds without those of compiling, bytes of memory, bytes on disk."""

    stage: str
    seconds: float
    memory: int
    disk: int


def compiler_fault(runtime: Runtime) -> str:
    """Why a tiny function cannot be compiled here; empty if it can."""
    try:
        square = torch.compile(lambda x: (x * x).sum(), dynamic=False, fullgraph=True)
        square(torch.ones(64, device=runtime.device))
    except Exception as problem:  # whatever it is, it is reported
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
    """Estimate experts, distillation and evaluation, all done anew.

    shape: channels, height, width. images: training images. Steps are compiled where a run would
    compile them. Raises DatmError where a step runs out of memory.
    """
    memory = 2 * 4 * images * math.prod(shape)  # float32, and as much again while it is prepared
    if runtime.device.type == "cpu":
        memory += runtime.peak_memory  # of the process so far
    stages = _Stages(config, shape, classes, images, runtime, memory, emit)
    smaller = half("network.width", config.network.width)
    with oom_as_error("a step", on_cpu(runtime.device, smaller)):
        return [stages.experts(), stages.distill(), stages.evaluate()]


@dataclass(frozen=True)
class _Stages:
    """Times steps on noise of the right shape, with the network of the settings.

    data_memory: bytes of the training images while they are prepared, and of the process itself.
    """

    config: Config
    shape: tuple[int, int, int]
    classes: int
    images: int
    runtime: Runtime
    data_memory: int
    emit: Emit

    @property
    def pixels(self) -> int:
        return math.prod(self.shape)

    def experts(self) -> Estimate:
        settings, epochs = self.config.experts, self.config.snapshot_epochs
        runtime = self.runtime.using(expert_precision(settings, self.runtime.precision))
        network, batch = self._network("convnet", runtime), min(settings.batch, self.images)
        noise = self._noise(batch)
        data = ImageSet(noise.images, noise.labels.argmax(dim=1))
        trained = settings.count * epochs + scorer_epochs(self.config, self.runtime.ranks)
        steps = trained * self.images / len(data)
        step = expert_step(network, settings)
        seconds = self._seconds_of_steps(runtime, "expert steps", step, network, data, steps)
        self.runtime.using(self.runtime.precision)
        snapshots = (epochs + 1) * network.layout.size
        return Estimate(
            "experts",
            seconds,
            self.data_memory + self._step_memory(network, batch) + 4 * snapshots,
            settings.count * snapshots * (2 if settings.snapshots == "bfloat16" else 4),
        )

    def distill(self) -> Estimate:
        settings, network = self.config.distill, self._network("convnet", self.runtime)
        batch = min(settings.batch_syn, settings.ipc * self.classes)
        data, theta = self._noise(batch), network.initial()
        images, labels = data.images, data.labels
        learned = Learned(images, labels, theta.new_tensor(settings.syn_lr))
        scale = batch / len(data)
        step = StudentStep(torch.arange(len(data), device=images.device), Draw(None, images))

        def forward(gradient: Gradient) -> Tensor:
            with torch.no_grad():
                return gradient(theta, images, labels)

        def backward(gradient: Gradient) -> Tensor:
            graph = build_graph(gradient, theta, learned, step)
            return torch.autograd.grad(graph.g, graph.leaves, theta)[0]

        gradient = compiled(
            self.runtime,
            "student steps",
            student_gradient(network, mirrored=settings.mirrored),
            lambda gradient: (forward(gradient), backward(gradient)),
            round(settings.iterations * settings.syn_steps * scale),
            emit=self.emit,
        )
        graph = build_graph(gradient, theta, learned, step)
        graph_memory = round(graph_size(graph.g) * scale)
        kept = min(settings.syn_steps, self.runtime.memory // max(1, graph_memory))
        # A step whose graph is not kept is computed once more on the way back.
        rebuilt = _seconds(lambda: forward(gradient)) * (settings.syn_steps - kept)
        differentiated = _seconds(lambda: backward(gradient)) * settings.syn_steps
        weights_memory = 4 * settings.syn_steps * len(theta)
        learned_size = settings.ipc * self.classes * (self.pixels + self.classes)
        return Estimate(
            "distill",
            settings.iterations * scale * (rebuilt + differentiated),
            (kept + 1) * graph_memory + weights_memory + self.data_memory,
            4 * learned_size * (2 + settings.iterations // settings.sample_interval // 4),
        )

    def evaluate(self) -> Estimate:
        settings, distill = self.config.evaluate, self.config.distill
        count, seconds, memory = distill.ipc * self.classes, self._seconds_of_choosing(), 0
        for name in settings.networks:
            # The set that was selected, the last one, and real images.
            sets = 2 + sum(name != "full" for name in settings.against)
            trainings = settings.repeats * sets
            if name == "convnet" and settings.selection != "last":
                candidates = distill.iterations // settings.selection_interval
                trainings += settings.selection_repeats * candidates
            seconds += self._seconds_of_epochs(name, count, trainings * (settings.epochs + 1))
            if "full" in settings.against:
                epochs = settings.full_repeats * (settings.full_epochs + 1)
                seconds += self._seconds_of_epochs(name, self.images, epochs)
            batch = min(settings.batch, max(count, self.images * ("full" in settings.against)))
            network = self._network(name, self.runtime)
            batch = 2 * batch if settings.mirrored else batch
            memory = max(memory, self._step_memory(network, batch))
        return Estimate("evaluate", seconds, self.data_memory + memory, 0)

    def _seconds_of_choosing(self) -> float:
        """Of the subsets that experts choose."""
        settings, network = self.config.experts, self._network("convnet", self.runtime)
        needed = passes(self.config.evaluate.against, settings.count, self.config.snapshot_epochs)
        if not needed:
            return 0.0
        images, theta = self._noise(self.images).images, network.initial()
        seconds = _seconds(lambda: network.predict(theta, images))
        return needed * seconds * self.images / len(images)

    def _seconds_of_epochs(self, name: str, count: int, epochs: int) -> float:
        """Of so many epochs on `count` images."""
        settings, network = self.config.evaluate, self._network(name, self.runtime)
        data = self._noise(min(settings.batch, count))
        step = evaluation_step(
            network, settings.momentum, settings.weight_decay, mirrored=settings.mirrored
        )
        what, steps = f"steps of {name} on {count:,} images", epochs * count / len(data)
        return self._seconds_of_steps(self.runtime, what, step, network, data, steps)

    def _seconds_of_steps(
        self,
        runtime: Runtime,
        name: str,
        step: Step,
        network: FlatNetwork,
        data: ImageSet,
        steps: float,
    ) -> float:
        """Of so many training steps on a batch of these images."""
        theta, schedule = network.initial(), Schedule(range(1), 0.01, len(data))
        velocity, rate = torch.zeros_like(theta), theta.new_tensor(schedule.lr)
        step = compile_step(
            runtime, name, step, theta, data, schedule, round(steps), emit=self.emit
        )
        return steps * _seconds(lambda: step(theta, velocity, rate, data.images, data.labels)[0])

    def _noise(self, batch: int) -> ImageSet:
        """Images and label logits of a batch, or of as much of it as is timed."""
        count, device = min(batch, MOST_IMAGES), self.runtime.device
        images = torch.randn(count, *self.shape, device=device)
        return ImageSet(images, torch.randn(count, self.classes, device=device))

    def _network(self, name: str, runtime: Runtime) -> FlatNetwork:
        return build_flat(name, self.config.network, self.shape, self.classes, 0, runtime)

    def _step_memory(self, network: FlatNetwork, batch: int) -> int:
        """Bytes of a training step on so many images: what its backward pass needs, and as much
        again while that runs."""
        noise = self._noise(batch)
        logits = network(network.initial().requires_grad_(), noise.images)
        return 2 * graph_size(F.cross_entropy(logits, noise.labels)) * batch // len(noise)


def _seconds(step: Callable[[], Tensor]) -> float:
    """The better of two, after one to warm up; reading a number waits for the device."""
    float(step().flatten()[0])
    times = []
    for _ in range(2):
        began = time.perf_counter()
        float(step().flatten()[0])
        times.append(time.perf_counter() - began)
    return min(times)
