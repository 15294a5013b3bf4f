"""Batch normalisation: batches of their own in training, all training images in testing."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from datm_engine.compute.compilation import load_compiler
from datm_engine.compute.runtime import generator
from datm_engine.data.image_sets import ImageSet
from datm_engine.evaluation.evaluate import published_schedule
from datm_engine.networks.batchnorm import BatchNorm, measure_statistics
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.training.epochs import train
from datm_engine.training.losses import hard_labels
from datm_engine.training.optimizers import evaluation_step


def images(count: int, seed: int = 0) -> Tensor:
    draws = torch.Generator().manual_seed(seed)
    bright = 3 * torch.randn(count, 1, 1, 1, generator=draws)  # so that batches differ
    return torch.randn(count, 1, 8, 8, generator=draws) + bright


def network(dtype: torch.dtype = torch.float32) -> FlatNetwork:
    module = build("convnetbn", channels=1, size=(8, 8), classes=3, width=4, depth=2, seed=0)
    return FlatNetwork(module.to(dtype))


def test_it_is_torchs_in_training() -> None:
    ours, theirs = BatchNorm(5), torch.nn.BatchNorm2d(5)
    maps = torch.randn(6, 5, 4, 4) * 3 + 1
    assert torch.allclose(ours(maps), theirs(maps), atol=1e-6)
    assert ours.mean.eq(0).all(), "nothing moves"
    assert ours(maps[:1]).isfinite().all()


@pytest.mark.parametrize("batch", [1000, 7, 1])
def test_statistics_are_those_of_all_images_as_one_batch(batch: int) -> None:
    """Then each training image is classified as in a single batch with all others."""
    net, seen = network(torch.float64), images(20).double()
    theta = net.initial()
    measure_statistics(net, theta, seen, batch)
    assert net.module.training, "it is left as it was"
    as_one_batch = net.predict(theta, seen)
    net.module.eval()
    assert torch.allclose(net.predict(theta, seen), as_one_batch, rtol=1e-9, atol=1e-12)


def test_accuracy_does_not_depend_on_what_is_tested_together() -> None:
    net, tested = network(), images(30, seed=1)
    theta = net.initial()
    measure_statistics(net, theta, images(20))
    net.module.eval()
    whole = net.predict(theta, tested)
    assert torch.allclose(net.predict(theta, tested, batch=1), whole, atol=1e-5)
    order = torch.randperm(30, generator=torch.Generator().manual_seed(2))
    assert torch.allclose(net.predict(theta, tested[order], batch=4), whole[order], atol=1e-5)
    net.module.train()
    alone = net.predict(theta, tested, batch=1)
    assert not torch.allclose(alone, net.predict(theta, tested)), "as it would in training"
    labels = whole.argmax(dim=1)
    assert net.accuracy(theta, tested, labels) == 100.0


def test_other_networks_have_nothing_to_measure() -> None:
    net = FlatNetwork(build("mlp", channels=1, size=(8, 8), classes=3, seed=0))
    before = net.initial()
    measure_statistics(net, before, images(4))
    assert net.initial().equal(before)


@pytest.mark.parametrize("count", [5, 1])
def test_it_learns_in_batches_of_which_the_last_is_a_single_image(count: int) -> None:
    net, seen = network(), images(count)
    labels = torch.arange(count) % 3
    step = evaluation_step(net, momentum=0.9, weight_decay=0.0)
    data, schedule = ImageSet(seen, hard_labels(labels, 3)), published_schedule(60, 0.05, 4, ())
    theta = train(step, net.initial(), data, schedule, generator, lambda *_: None)
    measure_statistics(net, theta, seen)
    assert theta.isfinite().all()
    assert net.accuracy(theta, seen, labels) == 100.0


@pytest.mark.slow
@pytest.mark.parametrize("name", ["convnetbn", "vit"])
@pytest.mark.parametrize("compute", [None, torch.bfloat16])
def test_a_compiled_step_is_the_same(name: str, compute: torch.dtype | None) -> None:
    module = build(name, channels=1, size=(8, 8), classes=3, width=4, depth=2, seed=0)
    net = FlatNetwork(module, compute)
    theta = net.initial()
    given = (theta, torch.zeros_like(theta), torch.tensor(0.1))
    step = evaluation_step(net, momentum=0.9, weight_decay=5e-4)
    load_compiler()
    faster = torch.compile(step, dynamic=False, fullgraph=True)
    tolerance = 1e-5 if compute is None else 2e-2
    for count in (6, 1):
        batch = images(count), hard_labels(torch.arange(count) % 3, 3)
        for plain, compiled in zip(step(*given, *batch), faster(*given, *batch), strict=True):
            assert torch.allclose(plain, compiled, atol=tolerance)
