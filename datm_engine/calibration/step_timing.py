"""What each stage of a run takes on this machine, by timing its own steps at their own batches."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import torch
from torch import Tensor

from datm_engine.calibration.machine_probe import shortest
from datm_engine.compute.compilation import compiled
from datm_engine.compute.memory_errors import half, on_cpu, oom_as_error
from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import Draw
from datm_engine.data.image_sets import ImageSet
from datm_engine.distillation.batches import Step as StudentStep
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import build_graph
from datm_engine.estimation.stage_costs import RunCost, StageCost
from datm_engine.estimation.workload import Steps, Workload
from datm_engine.experts.train import expert_precision
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build_flat
from datm_engine.runs.events import Emit
from datm_engine.training.epochs import Schedule, compile_step
from datm_engine.training.losses import Gradient, student_gradient
from datm_engine.training.optimizers import Step, evaluation_step, expert_step


def compiler_fault(runtime: Runtime) -> str:
    """Why a tiny function cannot be compiled here; empty if it can."""
    try:
        square = torch.compile(lambda x: (x * x).sum(), dynamic=False, fullgraph=True)
        square(torch.ones(64, device=runtime.device))
    except Exception as problem:  # whatever it is, it is reported
        return (str(problem).strip().splitlines() or [type(problem).__name__])[0][:200]
    return ""


def measured_cost(workload: Workload, runtime: Runtime, *, emit: Emit) -> RunCost:
    """The cost of a run by timed steps, which are compiled where the run would compile them; the
    seconds are without those of compiling. Raises DatmError where a step runs out of memory."""
    timer = _StepTimer(workload, runtime, emit)
    smaller = half("network.width", workload.config.network.width)
    costs = []
    with oom_as_error("a step", on_cpu(runtime.device, smaller)):
        for stage in workload.stages():
            seconds = sum(timer.seconds(steps) * steps.count for steps in stage.steps)
            costs.append(
                StageCost(stage.name, seconds, 0.0, round(stage.memory), round(stage.disk))
            )
    return RunCost(tuple(costs))


@dataclass(frozen=True)
class _StepTimer:
    """Times steps on noise of the right shape."""

    workload: Workload
    runtime: Runtime
    emit: Emit
    known: dict[Steps, float] = field(default_factory=dict)
    student_steps: dict[int, Gradient] = field(default_factory=dict)  # by batch

    def seconds(self, steps: Steps) -> float:
        """Of one step."""
        key = replace(steps, count=0)
        if steps.count and key not in self.known:
            self.known[key] = self._time(steps)
        return self.known.get(key, 0.0)

    def _time(self, steps: Steps) -> float:
        runtime, experts = self.runtime, self.workload.config.experts
        if steps.kind in ("expert", "gsam"):
            runtime = runtime.using(expert_precision(experts, runtime.precision))
        network, data = self._network(steps.network, runtime), self._noise(steps.batch)
        try:
            match steps.kind:
                case "forward":
                    theta = network.initial()
                    return shortest(lambda: network.predict(theta, data.images))
                case "expert" | "gsam":
                    data = ImageSet(data.images, data.labels.argmax(dim=1))
                    return self._training(steps, expert_step(network, experts), network, data)
                case "evaluation":
                    settings = self.workload.config.evaluate
                    step = evaluation_step(network, settings.momentum, settings.weight_decay)
                    return self._training(steps, step, network, data)
                case _:
                    return self._student(steps, network, data)
        finally:
            self.runtime.using(self.runtime.precision)

    def _training(self, steps: Steps, step: Step, network: FlatNetwork, data: ImageSet) -> float:
        theta, schedule = network.initial(), Schedule(range(1), 0.01, len(data))
        velocity, rate = torch.zeros_like(theta), theta.new_tensor(schedule.lr)
        step = compile_step(
            self.runtime, steps.function, step, theta, data, schedule, round(steps.count),
            emit=self.emit,
        )  # fmt: skip
        return shortest(lambda: step(theta, velocity, rate, data.images, data.labels)[0])

    def _student(self, steps: Steps, network: FlatNetwork, data: ImageSet) -> float:
        """Of a gradient, of its pullback, or of the latter's derivatives alone."""
        theta, images, labels = network.initial(), data.images, data.labels
        learned = Learned(images, labels, theta.new_tensor(0.01))
        piece = StudentStep(torch.arange(len(data), device=images.device), Draw(None, images))

        def forward(gradient: Gradient) -> Tensor:
            with torch.no_grad():
                return gradient(theta, images, labels)

        def backward(gradient: Gradient) -> Tensor:
            graph = build_graph(gradient, theta, learned, piece)
            return torch.autograd.grad(graph.g, graph.leaves, theta)[0]

        def exercise(gradient: Gradient) -> None:
            forward(gradient)
            backward(gradient)

        if steps.batch not in self.student_steps:
            self.student_steps[steps.batch] = compiled(
                self.runtime, steps.function, student_gradient(network), exercise,
                round(steps.count), emit=self.emit,
            )  # fmt: skip
        gradient = self.student_steps[steps.batch]
        there = shortest(lambda: forward(gradient)) if steps.kind != "pullback" else 0.0
        if steps.kind == "gradient":
            return there
        back = shortest(lambda: backward(gradient))
        return back if steps.kind == "pullback" else max(0.0, back - there)

    def _noise(self, count: int) -> ImageSet:
        """Images and label logits of a batch."""
        images = torch.randn(count, *self.workload.size, device=self.runtime.device)
        return ImageSet(images, torch.randn(count, self.workload.classes, device=images.device))

    def _network(self, name: str, runtime: Runtime) -> FlatNetwork:
        config, workload = self.workload.config, self.workload
        return build_flat(name, config.network, workload.size, workload.classes, 0, runtime)
