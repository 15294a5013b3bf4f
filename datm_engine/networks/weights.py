"""A network as a function of one flat vector of weights: f(θ, x)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from datm_engine.compute.runtime import CPU_HAS_BFLOAT16
from datm_engine.networks.convolution import Convolution


@dataclass(frozen=True)
class Layout:
    """Which named tensors a flat vector holds, in `module.named_parameters()` order."""

    names: tuple[str, ...]
    shapes: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, module: nn.Module) -> Layout:
        named = list(module.named_parameters())
        return cls(tuple(n for n, _ in named), tuple(tuple(p.shape) for _, p in named))

    @property
    def size(self) -> int:
        return sum(self.sizes)

    @property
    def sizes(self) -> list[int]:
        return [math.prod(shape) for shape in self.shapes]

    def flatten(self, tensors: Mapping[str, Tensor]) -> Tensor:
        """Named tensors → [size]; a copy."""
        return torch.cat([tensors[name].reshape(-1) for name in self.names])

    def unflatten(self, vector: Tensor) -> dict[str, Tensor]:
        """[size] → named views of it."""
        parts = vector.split(self.sizes)
        named = zip(self.names, parts, self.shapes, strict=True)
        return {name: part.view(shape) for name, part, shape in named}


class FlatNetwork:
    """`network(theta, images)` → logits [n, classes]; theta: [layout.size].

    The module gives the structure, its buffers (running statistics) and its mode; its own
    parameters are only the initial weights. With `compute` the layers work in that type, while
    weights and logits, and so their gradients and sums, stay in that of `theta`. (Not in bfloat16
    on a CPU without kernels for it, unless the network rounds by itself, as the ConvNet does.)
    """

    def __init__(self, module: nn.Module, compute: torch.dtype | None = None) -> None:
        self.module = module
        self.layout = Layout.of(module)
        rounds = any(isinstance(part, Convolution) for part in module.modules())
        on_cpu = all(part.is_cpu for part in module.parameters())
        without_kernels = compute is torch.bfloat16 and on_cpu and not CPU_HAS_BFLOAT16
        self.compute = None if without_kernels and not rounds else compute

    def __call__(self, theta: Tensor, images: Tensor) -> Tensor:
        weights = self.layout.unflatten(theta)  # views: the gradient by theta is one vector
        if self.compute is not None:
            weights = {name: weight.to(self.compute) for name, weight in weights.items()}
            images = images.to(self.compute)
        if torch.compiler.is_compiling():  # the layout of the fast kernels, on CPU and GPU alike
            weights = {name: _channels_last(weight) for name, weight in weights.items()}
            images = _channels_last(images)
        return functional_call(self.module, weights, (images,)).to(theta.dtype)

    def initial(self) -> Tensor:
        """The module's own weights as one vector; a copy."""
        return self.layout.flatten(dict(self.module.named_parameters())).detach()

    @torch.no_grad()
    def predict(self, theta: Tensor, images: Tensor, batch: int = 1000) -> Tensor:
        """Logits [n, classes] without a graph, `batch` images at a time, always in the type of
        `theta`: reported figures are not rounded to bfloat16."""
        weights = self.layout.unflatten(theta)
        logits = [functional_call(self.module, weights, (part,)) for part in images.split(batch)]
        return torch.cat(logits)

    def accuracy(self, theta: Tensor, images: Tensor, labels: Tensor) -> float:
        """Percent of images classified as their label; running statistics are used, not moved."""
        was_training = self.module.training
        self.module.eval()
        right = int((self.predict(theta, images).argmax(dim=1) == labels).sum())
        self.module.train(was_training)
        return 100 * right / len(labels)


def _channels_last(tensor: Tensor) -> Tensor:
    if tensor.ndim != 4:
        return tensor
    return tensor.contiguous(memory_format=torch.channels_last)
