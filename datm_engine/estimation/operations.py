"""Counts the operations of a network's steps by formulas, without torch.

A step costs floating point operations, bytes that its kernels read and write, and kernels, each of
which costs a fixed time to launch. The numbers of bytes and of kernels are linear in the sizes
below; the coefficients are those of torch's own operations, counted as they are dispatched.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from datm_engine.settings.config import NetworkConfig
from datm_engine.settings.convnet_sizes import Size, block_inputs, convolution_multiply_adds

FLOAT = 4  # bytes


@dataclass(frozen=True)
class Operations:
    """What a function computes. bytes: read and written, of every kernel."""

    flops: float = 0.0
    bytes: float = 0.0
    kernels: float = 0.0

    def __add__(self, other: Operations) -> Operations:
        return Operations(
            self.flops + other.flops, self.bytes + other.bytes, self.kernels + other.kernels
        )

    def __mul__(self, count: float) -> Operations:
        return Operations(self.flops * count, self.bytes * count, self.kernels * count)

    __rmul__ = __mul__


@dataclass(frozen=True)
class NetworkSize:
    """Sizes of a network, of which its operations are functions; all but `weights` are of an image.

    multiply_adds: of the forward pass. first: those of the first layer, whose input needs no
    gradient. maps: values of all layers' outputs before pooling. depth: blocks of layers.
    """

    weights: int
    multiply_adds: float
    first: float
    maps: float
    inputs: int
    depth: int

    def forward(self, batch: int) -> Operations:
        """A forward pass without a graph."""
        values = 6.5 * batch * self.maps + 1.1 * self.weights + 1.2 * batch * self.inputs
        return Operations(2 * batch * self.multiply_adds, FLOAT * values, 2 + 4 * self.depth)

    def gradient(self, batch: int) -> Operations:
        """∇_θ ℓ of a batch: a forward and a backward pass."""
        values = 16.2 * batch * self.maps + 5.2 * self.weights + 2.5 * batch * self.inputs
        flops = 2 * batch * (3 * self.multiply_adds - self.first)
        return Operations(flops, FLOAT * values, 16 + 8 * self.depth)

    def pullback(self, batch: int) -> Operations:
        """∇_θ ℓ with its graph, and the derivatives of ⟨λ, ∇_θ ℓ⟩ by θ, images and labels."""
        values = 102 * batch * self.maps + 25.5 * self.weights + 21 * batch * self.inputs
        return Operations(3 * self.gradient(batch).flops, FLOAT * values, 34 + 125 * self.depth)

    def update(self) -> Operations:
        """An SGD step with momentum and weight decay."""
        return Operations(0.0, FLOAT * 15 * self.weights, 6)

    def graph_bytes(self, batch: int) -> float:
        """What the graph of `gradient` keeps until its pullback."""
        return FLOAT * (4.3 * batch * self.maps + 2 * self.weights)

    def step_bytes(self, batch: int) -> float:
        """The most memory that a training step takes: its graph, and as much while it is used."""
        return 2 * FLOAT * (2.4 * batch * self.maps + 2 * self.weights)


def convnet(network: NetworkConfig, size: Size, classes: int) -> NetworkSize:
    """The sizes of the ConvNet of experts and students."""
    width, *blocks, classified = network.width, *block_inputs(network.width, network.depth, size)
    convolutions = convolution_multiply_adds(width, network.depth, size)
    # A block's kernels and biases, and two weights a channel of the normalisation.
    extra = 1 + 2 * (network.norm != "none")
    weights = sum(width * (9 * channels + extra) for channels, _, _ in blocks)
    linear = math.prod(classified)
    return NetworkSize(
        weights=weights + (linear + 1) * classes,
        multiply_adds=sum(convolutions) + linear * classes,
        first=convolutions[0],
        maps=sum(width * height * columns for _, height, columns in blocks),
        inputs=math.prod(size),
        depth=network.depth,
    )


# Of other networks that a set is scored by, on colour images of 32×32: weights, multiply-adds,
# multiply-adds of the first layer, maps (by the bytes that are read and written), depth.
_OTHERS = {
    "mlp": (411_000, 4.1e5, 3.9e5, 0, 2),
    "lenet": (62_000, 6.5e5, 3.5e5, 5_700, 3),
    "alexnet": (1_870_000, 2.45e8, 9.8e6, 172_000, 4),
    "vgg11": (9_230_000, 1.53e8, 1.8e6, 153_000, 7),
    "resnet18": (11_170_000, 5.55e8, 1.8e6, 676_000, 16),
    "vit": (809_000, 5.1e7, 2.0e5, 200_000, 16),
}
_FIXED_INPUT = frozenset({"alexnet", "resnet18", "lenet"})  # their strides follow the image


def network_size(name: str, network: NetworkConfig, size: Size, classes: int) -> NetworkSize:
    """The sizes of a network by its name in `networks.zoo`."""
    if name.startswith("convnet"):
        return convnet(network, size, classes)
    channels, height, width = size
    weights, multiply_adds, first, maps, depth = _OTHERS[name]
    larger = height * width / 32**2
    if name in _FIXED_INPUT:
        larger = min(larger, 1.0)
    elif name == "mlp":
        weights = round(weights * larger)
    return NetworkSize(
        weights=weights,
        multiply_adds=multiply_adds * larger,
        first=first * larger,
        maps=maps * larger,
        inputs=channels * height * width,
        depth=depth,
    )
