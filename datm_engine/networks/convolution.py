"""A 3×3 convolution whose second derivatives are as fast as its first ones.

Autograd differentiates a convolution's backward pass by a convolution of images with images, for
which no library has a fast kernel. A convolution is bilinear, so all its derivatives are
convolutions of the three ordinary kinds (forward, by input, by weight); saying so is enough.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datm_engine.compute.compilation import OPAQUE
from datm_engine.compute.runtime import CPU_HAS_BFLOAT16

# Stride 1, padding 1, dilation 1, not transposed, no output padding, one group.
_SHAPE: tuple[Any, ...] = ([1, 1], [1, 1], [1, 1], False, [0, 0], 1)


class _Bilinear(torch.autograd.Function):
    """images ∗ weight, with a backward made of operations that differentiate well themselves."""

    generate_vmap_rule = True

    @staticmethod
    def forward(images: Tensor, weight: Tensor) -> Tensor:
        return torch.ops.aten.convolution(images, weight, None, *_SHAPE)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    # ∂/∂images is a transposed convolution of g, ∂/∂weight the ordinary gradient by the weight; the
    # derivatives of both have fast kernels.
    @staticmethod
    def backward(ctx: Any, *outputs: Tensor) -> tuple[Tensor | None, Tensor | None]:
        (g,), (images, weight) = outputs, ctx.saved_tensors
        by_images = by_weight = None
        if ctx.needs_input_grad[0]:
            by_images = F.conv_transpose2d(g, weight, padding=1)
        if ctx.needs_input_grad[1]:
            only_weight = [False, True, False]
            parts = torch.ops.aten.convolution_backward(
                g, images, weight, None, *_SHAPE, only_weight
            )
            by_weight = parts[1]
        return by_images, by_weight


def _bilinear(images: Tensor, weight: Tensor) -> Tensor:
    return _Bilinear.apply(images, weight)


OPAQUE.append(_bilinear)  # traced into, it would lose the second derivative by the images


class Convolution(nn.Conv2d):
    """3×3, padding 1: the maps keep their size. The same numbers compiled or not.

    In bfloat16 where that has no kernels: in float32 on the rounded numbers, and then rounded,
    which is what such kernels do.
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__(channels, width, 3, padding=1)

    def forward(self, images: Tensor) -> Tensor:
        weight, bias, dtype = self.weight, self.bias, images.dtype
        assert bias is not None
        if dtype is torch.bfloat16 and images.is_cpu and not CPU_HAS_BFLOAT16:
            images, weight, bias = images.float(), weight.float(), bias.float()
        if torch.compiler.is_compiling():  # where the bias costs no pass of its own
            if OPAQUE:
                raise RuntimeError("load_compiler() must be called before torch.compile")
            maps = _bilinear(images, weight) + bias[:, None, None]
        else:
            maps = F.conv2d(images, weight, bias, padding=1)
        return maps.to(dtype)
