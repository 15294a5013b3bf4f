"""The benchmark of several trainings at once compares like with like."""

from __future__ import annotations

import torch

from benchmarks.problem import network, runtime
from benchmarks.several import batched_step
from datm_engine.training.optimizers import evaluation_step


def test_a_batched_step_is_every_networks_own_step() -> None:
    torch.manual_seed(0)
    net = network(8, runtime("float32", "off"))
    net.module.double()
    theta = net.initial() + 0.01 * torch.randn(3, net.layout.size, dtype=torch.float64)
    velocity = torch.randn_like(theta)
    images = torch.randn(3, 5, 3, 32, 32, dtype=torch.float64)
    labels = torch.randn(3, 5, 10, dtype=torch.float64)
    rate = torch.tensor(0.1, dtype=torch.float64)
    together = batched_step(net, 0.9, 5e-4)(theta, velocity, rate, images, labels)
    alone = evaluation_step(net, 0.9, 5e-4)
    for i in range(3):
        for one, other in zip(
            alone(theta[i], velocity[i], rate, images[i], labels[i]), together, strict=True
        ):
            torch.testing.assert_close(one, other[i], rtol=1e-9, atol=1e-9)
