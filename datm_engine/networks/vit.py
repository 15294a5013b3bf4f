"""A small vision transformer, one of the networks a distilled set is scored by."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

WIDTH = 128
DEPTH = 4
HEADS = 4


class VisionTransformer(nn.Module):
    """Patches → `DEPTH` blocks of attention and two linear layers → the mean over all patches.

    Patches are 4 pixels a side, 2 where an image has fewer than 16; images are padded by zeros to
    whole patches. Positions are learned.

    Source: Dosovitskiy et al. 2021 in the form of Beyer et al. 2022 (a mean instead of a class
    token), with normalisation before each part of a block. torchvision's takes square images of
    three channels only, and begins with logits of 0.
    """

    def __init__(self, channels: int, size: tuple[int, int], classes: int) -> None:
        super().__init__()
        self.patch = 4 if min(size) >= 16 else 2
        rows, columns = (-(-side // self.patch) for side in size)
        self.embed = nn.Conv2d(channels, WIDTH, self.patch, self.patch)
        self.positions = nn.Parameter(0.02 * torch.randn(rows * columns, WIDTH))
        self.blocks = nn.Sequential(*(AttentionBlock(WIDTH, HEADS) for _ in range(DEPTH)))
        self.norm = nn.LayerNorm(WIDTH)
        self.classifier = nn.Linear(WIDTH, classes)

    def forward(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        whole = F.pad(images, (0, -width % self.patch, 0, -height % self.patch))
        tokens = self.embed(whole).flatten(2).transpose(1, 2)  # [n, patches, WIDTH]
        tokens = self.norm(self.blocks(tokens + self.positions))
        return self.classifier(tokens.mean(dim=1))


class AttentionBlock(nn.Module):
    """Attention over all patches, then two linear layers on each. [n, patches, width] → the same
    shape."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.before_attention = nn.LayerNorm(width)
        self.queries_keys_values = nn.Linear(width, 3 * width)
        self.attended = nn.Linear(width, width)
        self.alone = nn.Sequential(
            nn.LayerNorm(width), nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width)
        )

    def forward(self, tokens: Tensor) -> Tensor:
        n, patches, width = tokens.shape
        projected = self.queries_keys_values(self.before_attention(tokens))
        split = projected.view(n, patches, 3, self.heads, -1)
        queries, keys, values = split.permute(2, 0, 3, 1, 4)  # [n, heads, patches, width / heads]
        heads = F.scaled_dot_product_attention(queries, keys, values)
        tokens = tokens + self.attended(heads.transpose(1, 2).reshape(n, patches, width))
        return tokens + self.alone(tokens)
