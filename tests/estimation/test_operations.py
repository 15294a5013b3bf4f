"""Formulas of operations, against torch's operations as they are dispatched."""

from __future__ import annotations

import pytest
import torch

from datm_engine.compute.compilation import graph_size
from datm_engine.compute.operation_counter import counted
from datm_engine.compute.runtime import Runtime
from datm_engine.estimation.operations import Operations, network_size
from datm_engine.networks.zoo import NAMES, build_flat
from datm_engine.settings.config import NetworkConfig
from datm_engine.training.losses import student_gradient
from datm_engine.training.optimizers import evaluation_step

BATCH, CLASSES = 16, 10
EXACT = [((1, 8, 8), 64, 2), ((3, 32, 32), 128, 3), ((3, 64, 48), 32, 4), ((3, 32, 32), 16, 3)]


def inputs(size: tuple[int, int, int]) -> tuple[torch.Tensor, torch.Tensor]:
    return torch.zeros(BATCH, *size), torch.zeros(BATCH, CLASSES)


def assert_near(estimated: Operations, real: Operations, within: float) -> None:
    assert estimated.flops == pytest.approx(real.flops, rel=within)
    assert estimated.bytes == pytest.approx(real.bytes, rel=within)
    assert estimated.kernels == pytest.approx(real.kernels, rel=max(within, 0.02))


@pytest.mark.parametrize(("size", "width", "depth"), EXACT)
def test_the_convnets_operations_are_those_that_are_dispatched(
    size: tuple[int, int, int], width: int, depth: int, cpu: Runtime
) -> None:
    settings = NetworkConfig(architecture="convnet", width=width, depth=depth, norm="instance")
    network = build_flat("convnet", settings, size, CLASSES, 0, cpu)
    formula, gradient = network_size("convnet", settings, size, CLASSES), student_gradient(network)
    theta, (images, labels) = network.initial(), inputs(size)

    def pullback() -> object:
        leaves = [tensor.detach().requires_grad_() for tensor in (theta, images, labels)]
        return torch.autograd.grad(gradient(*leaves), leaves, theta)

    assert formula.weights == network.layout.size
    with torch.no_grad():
        assert_near(formula.forward(BATCH), counted(lambda: network.predict(theta, images)), 0.05)
        assert_near(formula.gradient(BATCH), counted(lambda: gradient(theta, images, labels)), 0.05)
    assert_near(formula.pullback(BATCH), counted(pullback), 0.05)
    g = gradient(theta.clone().requires_grad_(), images.requires_grad_(), labels.requires_grad_())
    assert formula.graph_bytes(BATCH) == pytest.approx(graph_size(g), rel=0.35)


@pytest.mark.parametrize("name", NAMES)
def test_other_networks_operations_are_about_those_that_are_dispatched(
    name: str, cpu: Runtime
) -> None:
    settings = NetworkConfig(architecture="convnet", width=128, depth=3, norm="instance")
    size = (3, 32, 32)
    network = build_flat(name, settings, size, CLASSES, 0, cpu)
    formula = network_size(name, settings, size, CLASSES)
    theta, (images, labels) = network.initial(), inputs(size)
    step, rate = evaluation_step(network, 0.9, 5e-4), torch.tensor(0.01)
    real = counted(lambda: step(theta, torch.zeros_like(theta), rate, images, labels))
    assert_near(formula.gradient(BATCH) + formula.update(), real, 0.25)
