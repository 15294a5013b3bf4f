"""Measures the speed of this machine: a few steps of ConvNets, timed, and fitted by what they
compute."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from scipy.optimize import nnls

from datm_engine.compute.runtime import Runtime
from datm_engine.estimation.machine_speed import MachineSpeed
from datm_engine.estimation.operations import Operations, convnet
from datm_engine.networks.zoo import build_flat
from datm_engine.settings.config import NetworkConfig
from datm_engine.settings.convnet_sizes import Size
from datm_engine.training.losses import Gradient, student_gradient

CLASSES = 10
# (image, width, depth, batch): from steps that are mostly launches to steps that are mostly
# multiplications. Each is timed for `SECONDS`, and twice at least.
PROBES: tuple[tuple[Size, int, int, int], ...] = (
    ((1, 8, 8), 64, 2, 10),
    ((1, 8, 8), 64, 2, 100),
    ((3, 16, 16), 32, 2, 128),
    ((3, 32, 32), 32, 3, 64),
    ((3, 32, 32), 128, 3, 10),
)
SECONDS = 0.3


def measure_speed(runtime: Runtime) -> MachineSpeed:
    """Time the gradient and the pullback of each probe, in less than 5 s on a CPU of two cores.

    The fit minimizes relative errors, so that a step of a millisecond counts as much as one of a
    second.
    """
    rows: list[Operations] = []
    seconds: list[float] = []
    for size, width, depth, batch in PROBES:
        settings = NetworkConfig(architecture="convnet", width=width, depth=depth, norm="instance")
        network = build_flat("convnet", settings, size, CLASSES, 0, runtime)
        formula, gradient = convnet(settings, size, CLASSES), student_gradient(network)
        theta = network.initial()
        images = torch.randn(batch, *size, device=runtime.device)
        labels = torch.randn(batch, CLASSES, device=runtime.device)

        rows += [formula.gradient(batch), formula.pullback(batch)]
        with torch.no_grad():
            seconds.append(shortest(partial(gradient, theta, images, labels), SECONDS))
        seconds.append(shortest(partial(_pullback, gradient, theta, images, labels), SECONDS))
    table = np.array([[row.flops, row.bytes, row.kernels] for row in rows])  # [steps, 3]
    times = np.array(seconds)  # [steps]
    scale = (table / times[:, None]).max(axis=0)
    fitted, _ = nnls(table / times[:, None] / scale, np.ones(len(times)))
    flop, byte, kernel = (float(value) for value in fitted / scale)
    return MachineSpeed(
        device=runtime.description,
        device_kind=runtime.device.type,
        threads=torch.get_num_threads(),
        flop=flop,
        byte=byte,
        kernel=kernel,
    )


def _pullback(gradient: Gradient, *given: torch.Tensor) -> torch.Tensor:
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    return torch.autograd.grad(gradient(*leaves), leaves, given[0])[0]


def shortest(step: Callable[[], torch.Tensor], seconds: float = 0.0) -> float:
    """The shortest time of a step, repeated for `seconds` and twice at least, after one to warm up.
    Reading a number waits for the device."""
    float(step().flatten()[0])
    times: list[float] = []
    while len(times) < 2 or sum(times) < seconds:
        began = time.perf_counter()
        float(step().flatten()[0])
        times.append(time.perf_counter() - began)
    return min(times)
