"""What this machine can do, and what each stage would take on it, from a short calibration."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from datm_engine.compilation import graph_size
from datm_engine.config import Config
from datm_engine.data.augmentation import Draw
from datm_engine.distillation.matching import Step, build_graph, student_gradient
from datm_engine.evaluation.expert_selection import passes
from datm_engine.evaluation.training import training_step
from datm_engine.experts.training import expert_precision, expert_step
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runtime import Runtime

TRAINING_IMAGES = {
    "digits": 1437,
    "cifar10": 50_000,
    "cifar100": 50_000,
    "svhn": 73_257,
    "mnist": 60_000,
    "fashionmnist": 60_000,
    "tinyimagenet": 100_000,
}
_CALIBRATED = 64  # images a step; larger batches are taken to cost in proportion


@dataclass(frozen=True)
class Estimate:
    """Of a stage: seconds without compilation, bytes of memory, bytes on disk."""

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
    config: Config, shape: tuple[int, int, int], classes: int, images: int, runtime: Runtime
) -> list[Estimate]:
    """For experts, distill and evaluate, all of it done anew. shape: channels, height, width;
    `images`: for training, before any are held out."""
    stages = Calibration(config, shape, classes, images, runtime)
    return [stages.experts(), stages.distill(), stages.evaluate()]


class Calibration:
    """Steps timed on noise of the right shape, with the network of the settings."""

    def __init__(
        self,
        config: Config,
        shape: tuple[int, int, int],
        classes: int,
        images: int,
        runtime: Runtime,
    ) -> None:
        self.config, self.runtime = config, runtime
        stated = config.dataset.train_images
        images = min(images, images if stated == "all" else stated)
        self.images = round(images * (1 - config.dataset.validation))
        self.channels, *self.size = shape
        self.classes = classes
        count = _CALIBRATED
        self.noise = torch.randn(count, *shape, device=runtime.device)
        self.labels = torch.randn(count, classes, device=runtime.device)
        # The training images, and as many again while they are prepared.
        self.data = 2 * 4 * self.images * self.noise[0].numel()
        self.network = self._network("convnet", runtime.compute)

    def experts(self) -> Estimate:
        settings = self.config.experts
        precision = expert_precision(settings, self.runtime.precision)
        network = self._network("convnet", torch.bfloat16 if precision == "bfloat16" else None)
        step, theta = expert_step(network, settings), network.initial()
        velocity, classes = torch.zeros_like(theta), self.labels.argmax(dim=1)
        a_step = self._seconds(lambda: step(theta, velocity, self.noise, classes)[0])
        epochs = self.config.snapshot_epochs
        seconds = settings.count * epochs * self.images / _CALIBRATED * a_step
        graph = self._graph_size(settings.batch) // 3  # its first derivative alone
        itemsize = 2 if settings.snapshots == "bfloat16" else 4
        snapshots = (epochs + 1) * len(theta)
        return Estimate(
            "experts",
            seconds,
            self.data + 2 * graph + 4 * snapshots,
            settings.count * snapshots * itemsize,
        )

    def distill(self) -> Estimate:
        settings, theta = self.config.distill, self.network.initial()
        gradient = student_gradient(self.network)
        step = self._step()

        def forward() -> Tensor:
            with torch.no_grad():
                return gradient(theta, self.noise, self.labels)

        def back() -> Tensor:
            graph = build_graph(gradient, theta, self.noise, self.labels, step)
            return torch.autograd.grad(graph.g, graph.leaves, theta)[0]

        batch = min(settings.batch_syn, settings.ipc * self.classes)
        one = self._graph_size(batch)
        kept = min(settings.syn_steps, self.runtime.memory // max(1, one))
        share = batch / _CALIBRATED
        rebuilt = self._seconds(forward) * (settings.syn_steps - kept)
        an_iteration = share * (rebuilt + self._seconds(back) * settings.syn_steps)
        learned = settings.ipc * self.classes * (self.noise[0].numel() + self.classes)
        return Estimate(
            "distill",
            settings.iterations * an_iteration,
            (kept + 1) * one + 4 * settings.syn_steps * len(theta) + self.data,
            4 * learned * (2 + settings.iterations // settings.sample_interval // 4),
        )

    def evaluate(self) -> Estimate:
        settings, distill = self.config.evaluate, self.config.distill
        count, seconds = distill.ipc * self.classes, self._choosing()
        sets = 1 + sum(name != "full" for name in settings.against)
        for name in settings.networks:
            network = self._network(name, self.runtime.compute)
            step, theta = (
                training_step(network, settings.momentum, settings.weight_decay),
                network.initial(),
            )
            velocity, rate = torch.zeros_like(theta), self.runtime.place(torch.tensor(0.01))
            parts = (theta, velocity, rate, self.noise, self.labels)
            an_image = self._seconds(partial(_first_of, step, *parts)) / _CALIBRATED
            seen = settings.repeats * sets * (settings.epochs + 1) * count
            if "full" in settings.against:
                seen += settings.full_repeats * (settings.full_epochs + 1) * self.images
            if name == "convnet" and settings.selection != "last":
                candidates = distill.iterations // settings.selection_interval
                seen += candidates * settings.selection_repeats * (settings.epochs + 1) * count
            seconds += seen * an_image
        graph = self._graph_size(settings.batch) // 3
        return Estimate("evaluate", seconds, self.data + 2 * graph, 0)

    def _choosing(self) -> float:
        """Seconds for the subsets that experts choose."""
        settings, theta = self.config.experts, self.network.initial()
        needed = passes(self.config.evaluate.against, settings.count, self.config.snapshot_epochs)
        return (
            needed
            * self.images
            / _CALIBRATED
            * self._seconds(lambda: self.network.predict(theta, self.noise))
        )

    def _network(self, name: str, compute: torch.dtype | None) -> FlatNetwork:
        settings = self.config.network
        module = build(
            name,
            channels=self.channels,
            size=(self.size[0], self.size[1]),
            classes=self.classes,
            width=settings.width,
            depth=settings.depth,
            norm=settings.norm,
            seed=0,
        )
        return FlatNetwork(module.to(self.runtime.device), compute)

    def _step(self) -> Step:
        every = torch.arange(_CALIBRATED, device=self.runtime.device)
        return Step(every, Draw(None, self.noise))

    def _graph_size(self, batch: int) -> int:
        """Bytes of one student step's graph."""
        theta, gradient = self.network.initial(), student_gradient(self.network)
        graph = build_graph(gradient, theta, self.noise, self.labels, self._step())
        return graph_size(graph.g) * batch // _CALIBRATED

    @staticmethod
    def _seconds(step: Callable[[], Tensor]) -> float:
        """The better of two, after one to warm up; reading a number waits for the device."""
        float(step().flatten()[0])
        times = []
        for _ in range(2):
            began = time.perf_counter()
            float(step().flatten()[0])
            times.append(time.perf_counter() - began)
        return min(times)


def _first_of(step: Callable[..., tuple[Tensor, Tensor]], *parts: Tensor) -> Tensor:
    return step(*parts)[0]
