"""Several trainings at once, beside one after the other.

    python -m benchmarks.several [--json] [--size small|full]

A turn is a step of each of 4 networks, compiled, in float32: `one_by_one` as experts and evaluation
take it; `batched` with the weights of all in one function, so that convolutions become grouped
ones; `threads` with as many Python threads as torch would use, each working on one core. Experts:
SGD, batch 256; evaluation: 100 images, momentum and weight decay. Widths 32 and 128, depth 3.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.experts import SETTINGS
from benchmarks.problem import CLASSES, made_ready, network, runtime
from datm_engine.compute.runtime import generator
from datm_engine.networks.weights import FlatNetwork
from datm_engine.training.losses import gradient_of
from datm_engine.training.optimizers import evaluation_step, expert_step, sgd_step

NETWORKS = 4
STAGES = {"experts": 256, "evaluation": 100}  # images a step
WIDTHS = {"small": (32,), "full": (32, 128)}
WAYS = ("one_by_one", "batched", "threads")


def ready(
    way: str, *, stage: str, width: int, compiling: str = "on", device: str = "cpu"
) -> Callable[[], object]:
    """What one turn does: a step of each of `NETWORKS` networks."""
    on, draws, batch = runtime("float32", compiling, device), generator(0, "several"), STAGES[stage]
    net = network(width, on)
    images = torch.randn(NETWORKS, batch, 3, 32, 32, generator=draws).to(on.device)
    labels = torch.randn(NETWORKS, batch, CLASSES, generator=draws).to(on.device)
    theta = net.initial().repeat(NETWORKS, 1)
    momentum, decay = (0.0, 0.0) if stage == "experts" else (0.9, 5e-4)
    rate = torch.tensor(0.01, device=on.device)
    step: Callable[..., Any]
    if way == "batched":
        step = batched_step(net, momentum, decay)
        rows = [(theta, torch.zeros_like(theta), rate, images, labels)]
    elif stage == "experts":
        step = expert_step(net, SETTINGS)
        classes = labels.argmax(dim=2)
        given = zip(theta, images, classes, strict=True)
        rows = [(t, torch.zeros_like(t), rate, i, y) for t, i, y in given]
    else:
        step = evaluation_step(net, momentum, decay)
        given = zip(theta, images, labels, strict=True)
        rows = [(t, torch.zeros_like(t), rate, i, y) for t, i, y in given]
    step = made_ready(on, "steps", step, lambda s: s(*rows[0]), small_kernels=True)
    if way != "threads":
        return lambda: [float(step(*row)[0].sum()) for row in rows]
    # The number of threads that torch works with is each calling thread's own.
    pool = ThreadPoolExecutor(
        torch.get_num_threads(), initializer=torch.set_num_threads, initargs=(1,)
    )
    return lambda: list(pool.map(lambda row: float(step(*row)[0].sum()), rows))


def batched_step(
    net: FlatNetwork, momentum: float, weight_decay: float
) -> Callable[..., tuple[Tensor, Tensor]]:
    """A step of every network: θ and velocity [k, weights], images [k, n, …], labels [k, n,
    classes]. The networks' losses share no weights, so their sum has each one's gradient."""

    def loss(theta: Tensor, images: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
        parts = theta.split(net.layout.sizes, dim=1)
        named = zip(net.layout.names, parts, net.layout.shapes, strict=True)
        logits = batched_convnet({n: p.view(-1, *shape) for n, p, shape in named}, images)
        sums = -(labels.softmax(dim=2) * logits.log_softmax(dim=2)).sum(dim=2)
        value = sums.mean(dim=1).sum()
        return value, value.detach()

    gradient = gradient_of(loss)

    def step(
        theta: Tensor, velocity: Tensor, rate: Tensor, images: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        direction = gradient(theta, images, labels)[0]
        return sgd_step(theta, direction, velocity, rate, momentum, weight_decay)

    return step


def batched_convnet(weights: Mapping[str, Tensor], images: Tensor) -> Tensor:
    """The ConvNet of depth 3 k times, channels of all side by side; images [k, n, channels, height,
    width] → logits [k, n, classes]."""
    count, n = images.shape[:2]
    maps = images.transpose(0, 1).flatten(1, 2).contiguous(memory_format=torch.channels_last)
    for block in range(3):
        kernels = weights[f"features.{4 * block}.weight"].flatten(0, 1)
        bias = weights[f"features.{4 * block}.bias"].flatten()
        maps = F.conv2d(maps, kernels, bias, padding=1, groups=count)
        variance, mean = torch.var_mean(maps, dim=(2, 3), correction=0, keepdim=True)
        scale = weights[f"features.{4 * block + 1}.weight"].flatten()[:, None, None]
        shift = weights[f"features.{4 * block + 1}.bias"].flatten()[:, None, None]
        maps = F.avg_pool2d(F.relu((maps - mean) * torch.rsqrt(variance + 1e-5) * scale + shift), 2)
    features = maps.reshape(n, count, -1).transpose(0, 1)
    linear = weights["classifier.weight"].transpose(1, 2)
    return torch.baddbmm(weights["classifier.bias"][:, None], features, linear)


def measure(size: str) -> dict[str, Any]:
    found = {}
    for stage in STAGES:
        for width in WIDTHS[size]:
            ways = {way: {"stage": stage, "width": width} for way in WAYS}
            timings = ratios(in_turn("benchmarks.several", ways, TURNS[size]), "one_by_one")
            found |= {f"{stage} {width} {way}": timing for way, timing in timings.items()}
    return {"what": f"a step of {NETWORKS} networks, by stage, width and way", "ways": found}


if __name__ == "__main__":
    run({"several": measure})
