"""The network whose trajectories are matched: a few 3×3 convolutions and one linear layer."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from datm_engine.errors import ConfigError, Setting
from datm_engine.networks.batchnorm import BatchNorm
from datm_engine.networks.convolution import Convolution

Size = tuple[int, int]  # height and width


class InstanceNorm(nn.GroupNorm):
    """Normalize each map of each image to mean 0 and variance 1, then scale and shift channels."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels)

    def forward(self, maps: Tensor) -> Tensor:
        # A compiler fuses the form below with its neighbours; uncompiled, torch's is faster.
        if not torch.compiler.is_compiling():
            return super().forward(maps)
        exact = maps.float() if maps.dtype is torch.bfloat16 else maps
        # [n, channels, 1, 1]
        variance, mean = torch.var_mean(exact, dim=(2, 3), correction=0, keepdim=True)
        normal = (exact - mean) * torch.rsqrt(variance + self.eps)
        return (normal * self.weight[:, None, None] + self.bias[:, None, None]).to(maps.dtype)


def normalization(kind: str, channels: int, size: Size) -> nn.Module:
    """Normalisation of [n, channels, *size] maps; "instance" is affine, a group a channel.

    "batch" is for networks that a set is scored by: experts and students never have it.
    """
    match kind:
        case "instance":
            return InstanceNorm(channels)
        case "layer":
            return nn.LayerNorm([channels, *size])
        case "group":
            return nn.GroupNorm(max(1, channels // 16), channels)
        case "batch":
            return BatchNorm(channels)
        case "none":
            return nn.Identity()
    raise ConfigError(f"network.norm = {kind!r} is not known", Setting("network.norm", "instance"))


class ConvNet(nn.Module):
    """`depth` blocks of conv 3×3 → norm → ReLU → 2×2 average pool, then a linear layer.

    Source: Gidaris & Komodakis 2018, as used by DC, MTT and DATM (width 128; depth 3 at 32×32,
    4 at 64×64; instance normalisation).
    """

    def __init__(
        self,
        channels: int,
        size: Size,
        classes: int,
        *,
        width: int = 128,
        depth: int = 3,
        norm: str = "instance",
    ) -> None:
        super().__init__()
        if min(size) < 2**depth:
            raise ConfigError(
                f"network.depth = {depth} halves {size[0]}×{size[1]} images to nothing",
                Setting("network.depth", min(size).bit_length() - 1),
            )
        blocks: list[nn.Module] = []
        for _ in range(depth):
            blocks += [
                Convolution(channels, width),
                normalization(norm, width, size),
                nn.ReLU(),
                nn.AvgPool2d(2),
            ]
            channels, size = width, (size[0] // 2, size[1] // 2)
        self.features = nn.Sequential(*blocks)
        self.classifier = nn.Linear(width * size[0] * size[1], classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.features(images)  # [n, width, height / 2^depth, width / 2^depth]
        return self.classifier(maps.flatten(1))
