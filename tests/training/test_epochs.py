"""The evaluation schedule against its definition, and a training against torch's own SGD."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import augment, draw
from datm_engine.data.image_sets import ImageSet
from datm_engine.evaluation.evaluate import published_schedule
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.training.epochs import Schedule, train
from datm_engine.training.losses import student_gradient
from datm_engine.training.optimizers import evaluation_step


def schedule(epochs: int, batch: int = 128) -> Schedule:
    return published_schedule(epochs, 0.1, batch, ["flip", "color"])


def test_published_schedule() -> None:
    """Epochs 0 … 1000: the full rate through epoch 501, a tenth of it from 502 on."""
    published = schedule(1000)
    rates = [published.rate(epoch) for epoch in range(1001)]
    assert rates[:502] == [0.1] * 502
    assert rates[502:] == [0.1 * 0.1] * 499


@pytest.mark.parametrize("mirrored", [False, True], ids=["plain", "mirrored"])
def test_training_is_sgd_with_the_published_schedule(mirrored: bool) -> None:
    """Beside torch.optim.SGD, made anew when the rate falls, on the same batches; mirrored, with
    each augmented image's mirror image under the same label."""
    draws = generator(0)
    images, labels = torch.randn(10, 1, 8, 8, generator=draws), torch.randn(10, 3, generator=draws)
    images, labels = images.double(), labels.double()
    module = build("mlp", channels=1, size=(8, 8), classes=3, seed=0).double()
    network = FlatNetwork(module)
    plan = schedule(6, batch=4)
    step = evaluation_step(network, momentum=0.9, weight_decay=5e-4, mirrored=mirrored)
    epochs: list[int] = []
    found = train(
        step,
        network.initial(),
        ImageSet(images, labels),
        plan,
        partial(generator, 5, "evaluation epoch"),
        lambda epoch, *_: epochs.append(epoch),
    )
    assert epochs == [0, 1, 2, 3, 4, 5, 6]

    parameter = torch.nn.Parameter(network.initial())

    def fresh(lr: float) -> torch.optim.SGD:
        return torch.optim.SGD([parameter], lr=lr, momentum=0.9, weight_decay=5e-4)

    optimizer = fresh(0.1)
    for epoch in range(7):
        if epoch == 5:  # 6 // 2 + 1 = 4 is the last at the full rate
            optimizer = fresh(0.01)
        draws = generator(5, "evaluation epoch", epoch)
        batches = torch.randperm(10, generator=draws).split(4)
        assert [len(batch) for batch in batches] == [4, 4, 2]
        augmentations = draw(["flip", "color"], [4, 4, 2], draws)
        for batch, augmented in zip(batches, augmentations, strict=True):
            seen = augment(images[batch], augmented)
            result = labels[batch]
            if mirrored:
                seen, result = torch.cat([seen, seen.flip(3)]), torch.cat([result, result])
            parameter.grad = student_gradient(network)(parameter.detach(), seen, result)
            optimizer.step()
    assert torch.allclose(found, parameter.detach(), rtol=1e-9, atol=0)
