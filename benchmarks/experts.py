"""Expert training of the published network, beside a plain PyTorch loop.

    python -m benchmarks.experts [--json] [--size small|full]

Both take the same number of SGD steps on batches of 256 32×32 colour images (ConvNet of width
128, depth 3). The plain loop has a DataLoader, an nn.Module, torch.optim.SGD, and augmentation
matrices built image by image.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from benchmarks import plain_training
from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.problem import CLASSES, made_ready, network, runtime
from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import OPERATIONS, augment, draw
from datm_engine.settings.config import ExpertsConfig
from datm_engine.training.optimizers import expert_step

STEPS = {"small": 4, "full": 40}
SETTINGS = ExpertsConfig(
    count=1,
    epochs=1,
    optimizer="sgd",
    lr=0.01,
    momentum=0.0,
    weight_decay=0.0,
    batch=256,
    rho=0.01,
    alpha=0.3,
    seed=0,
    precision="run",
    snapshots="float32",
    order="random",
    early_stop=False,
)
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eager": {"compiling": "off"},
    "float32": {"compiling": "on"},
    "bfloat16": {"compiling": "on", "precision": "bfloat16"},
}


def ready(
    way: str,
    *,
    steps: int,
    width: int = 128,
    precision: str = "float32",
    compiling: str = "off",
    optimizer: str = "sgd",
    device: str = "cpu",
) -> Callable[[], object]:
    """What one turn does: `steps` steps, continued from the turn before."""
    on, draws, batch = runtime(precision, compiling, device), generator(0, "experts"), 256
    count = steps * batch
    images = torch.randn(count, 3, 32, 32, generator=draws).to(on.device)
    labels = torch.randint(CLASSES, (count,), generator=draws).to(on.device)
    net = network(width, on)
    if way == "plain":
        endless = plain_training.epochs(net.module, images, labels, batch=batch, lr=0.01)
        return lambda: [next(endless) for _ in range(steps)]
    step = expert_step(net, SETTINGS.model_copy(update={"optimizer": optimizer}))
    theta, velocity = net.initial(), torch.zeros_like(net.initial())
    rate = theta.new_tensor(SETTINGS.lr)
    step = made_ready(
        on,
        "expert steps",
        step,
        lambda s: s(theta, velocity, rate, images[:batch].clone(), labels[:batch].clone()),
        small_kernels=True,
    )

    def turn() -> float:
        nonlocal theta, velocity
        order = torch.randperm(count, generator=draws).to(on.device).split(batch)
        augmentations = draw(list(OPERATIONS), [batch] * steps, draws, on.device)
        for indices, augmentation in zip(order, augmentations, strict=True):
            seen = augment(images[indices], augmentation)
            theta, velocity, _ = step(theta, velocity, rate, seen, labels[indices])
        return float(theta[0])

    return turn


def measure(size: str) -> dict[str, Any]:
    ways = {way: {"steps": STEPS[size], **given} for way, given in WAYS.items()}
    return {
        "what": f"{STEPS[size]} expert steps (SGD), width 128, batch 256",
        "ways": ratios(in_turn("benchmarks.experts", ways, TURNS[size]), "plain"),
    }


if __name__ == "__main__":
    run({"experts": measure})
