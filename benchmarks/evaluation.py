"""Training on a distilled set by the evaluation's protocol, beside a plain PyTorch loop.

    python -m benchmarks.evaluation [--json] [--size small|full]

Both take epochs over 100 synthetic 32×32 colour images with soft labels (ipc 10 of ten classes)
in one batch, with the published network, SGD with momentum 0.9 and weight decay 5e-4.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks import plain_training
from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.problem import CLASSES, made_ready, network, runtime
from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import OPERATIONS
from datm_engine.data.image_sets import ImageSet
from datm_engine.evaluation.evaluate import published_schedule
from datm_engine.training.epochs import train
from datm_engine.training.optimizers import evaluation_step

EPOCHS = {"small": 12, "full": 100}
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eager": {"compiling": "off"},
    "float32": {"compiling": "on"},
    "bfloat16": {"compiling": "on", "precision": "bfloat16"},
}


def ready(
    way: str,
    *,
    epochs: int,
    images: int = 100,
    width: int = 128,
    precision: str = "float32",
    compiling: str = "off",
    device: str = "cpu",
) -> Callable[[], object]:
    """What one turn does: a training of `epochs` epochs, from the same weights every time."""
    on, draws = runtime(precision, compiling, device), generator(0, "evaluation")
    seen = torch.randn(images, 3, 32, 32, generator=draws).to(on.device)
    labels = torch.randn(images, CLASSES, generator=draws).to(on.device)
    net = network(width, on)
    if way == "plain":
        decay = {"momentum": 0.9, "weight_decay": 5e-4}
        endless = plain_training.epochs(net.module, seen, labels, batch=128, lr=0.01, **decay)
        return lambda: [next(endless) for _ in range(epochs)]
    theta, rate = net.initial(), torch.tensor(0.01, device=on.device)
    step = made_ready(
        on,
        "steps of convnet",
        evaluation_step(net, 0.9, 5e-4),
        lambda s: s(theta, torch.zeros_like(theta), rate, seen.clone(), labels.clone()),
        small_kernels=True,
    )
    # Epochs 0 … E are E + 1.
    schedule = published_schedule(epochs - 1, 0.01, 128, list(OPERATIONS))
    draws_of = partial(generator, 0, "evaluation epoch")

    def turn() -> Tensor:
        return train(step, theta, ImageSet(seen, labels), schedule, draws_of, lambda *_: None)

    return turn


def measure(size: str) -> dict[str, Any]:
    ways = {way: {"epochs": EPOCHS[size], **given} for way, given in WAYS.items()}
    return {
        "what": f"{EPOCHS[size]} epochs on 100 synthetic images, width 128",
        "ways": ratios(in_turn("benchmarks.evaluation", ways, TURNS[size]), "plain"),
    }


if __name__ == "__main__":
    run({"evaluation": measure})
