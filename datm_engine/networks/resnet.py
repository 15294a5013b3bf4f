"""ResNet-18 for small images, one of the networks a distilled set is scored by."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from datm_engine.networks.convnet import Size, normalization

STAGES = ((64, 1), (128, 2), (256, 2), (512, 2))  # width and stride; two blocks each


class ResNet18(nn.Module):
    """A 3×3 stem without pooling, four stages of two basic blocks, and a mean over the map.

    From 64 pixels on, the stem takes stride 2. A stage that would halve maps of fewer than 4
    pixels a side keeps them: instance normalisation of 1×1 maps leaves only its bias, and the
    image would be lost (8×8 images go 8, 4, 2, 2).

    Source: He et al. 2016 in DC's version. torchvision's has the same blocks, but begins them
    from other weights, and cannot keep a stage's stride at 1.
    """

    def __init__(self, channels: int, size: Size, classes: int, *, norm: str = "instance") -> None:
        super().__init__()
        stride = 2 if min(size) >= 64 else 1
        size = _strided(size, stride)
        self.stem = nn.Sequential(
            nn.Conv2d(channels, 64, 3, stride, padding=1, bias=False),
            normalization(norm, 64, size),
            nn.ReLU(),
        )
        blocks: list[nn.Module] = []
        before = 64
        for width, stride in STAGES:
            stride = stride if min(size) >= 4 else 1
            size = _strided(size, stride)
            blocks += [
                ResidualBlock(before, width, size, stride, norm),
                ResidualBlock(width, width, size, 1, norm),
            ]
            before = width
        self.stages = nn.Sequential(*blocks)
        self.classifier = nn.Linear(before, classes)

    def forward(self, images: Tensor) -> Tensor:
        maps = self.stages(self.stem(images))
        return self.classifier(maps.mean(dim=(2, 3)))  # the mean is [n, 512]


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions beside a shortcut. size: of its output maps."""

    def __init__(self, before: int, width: int, size: Size, stride: int, norm: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(before, width, 3, stride, padding=1, bias=False),
            normalization(norm, width, size),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            normalization(norm, width, size),
        )
        self.shortcut: nn.Module = nn.Identity()
        if before != width:
            self.shortcut = nn.Sequential(
                nn.Conv2d(before, width, 1, stride, bias=False),
                normalization(norm, width, size),
            )

    def forward(self, maps: Tensor) -> Tensor:
        return F.relu(self.residual(maps) + self.shortcut(maps))


def _strided(size: Size, stride: int) -> Size:
    """The output size of a 3×3 convolution with padding 1 and this stride."""
    return ((size[0] - 1) // stride + 1, (size[1] - 1) // stride + 1)
