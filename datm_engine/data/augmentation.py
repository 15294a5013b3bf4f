"""Differentiable siamese augmentation: one operation for a batch, its strength drawn by image.

Random numbers are drawn before they are applied, so that a student step can be repeated exactly.
Source: DSA (Zhao & Bilen 2021), strengths as in its published settings.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

SCALE = 1.2  # zoom between 1/1.2 and 1.2, each axis on its own
ROTATION = 15.0  # degrees either way
SHIFT = 0.125  # share of the size
CUTOUT = 0.5  # share of the size


@dataclass(frozen=True)
class Draw:
    """The random choices for one batch. `uniform`: [batch, 3] in [0, 1)."""

    operation: str | None
    uniform: Tensor


def draw(
    operations: Sequence[str],
    batches: Sequence[int],
    generator: torch.Generator,
    device: torch.device | None = None,
) -> list[Draw]:
    """Draw for batches of the given sizes.

    The generator is on the CPU, for the same draws on every device; all draws are copied at once.
    """
    if not operations:
        return [Draw(None, torch.empty(size, 3)) for size in batches]
    chosen = torch.randint(len(operations), (len(batches),), generator=generator).tolist()
    uniform = torch.rand(sum(batches), 3, generator=generator).to(device or "cpu")
    parts = uniform.split(list(batches))
    return [Draw(operations[i], u) for i, u in zip(chosen, parts, strict=True)]


def augment(images: Tensor, draw: Draw) -> Tensor:
    """Augment images [n, channels, height, width], differentiably."""
    if draw.operation is None:
        return images
    augmented = OPERATIONS[draw.operation](images, draw.uniform.to(images))
    # All operations return the same strides, so that one compiled step serves them all. The view
    # fixes the strides of grey images too: with one channel, torch calls any strides contiguous.
    return augmented.contiguous().view(-1).view(images.shape)


def color(images: Tensor, uniform: Tensor) -> Tensor:
    """Change brightness, then saturation, then contrast."""
    brightness, saturation, contrast = (u[:, None, None, None] for u in uniform.unbind(1))
    images = images + (brightness - 0.5)
    grey = images.mean(dim=1, keepdim=True)  # [n, 1, height, width]
    images = (images - grey) * (2 * saturation) + grey
    mean = images.mean(dim=(1, 2, 3), keepdim=True)
    return (images - mean) * (contrast + 0.5) + mean


def crop(images: Tensor, uniform: Tensor) -> Tensor:
    """Shift images by up to `SHIFT` of the size, with zeros at the edges."""
    n, _, height, width = images.shape
    down, right = int(height * SHIFT + 0.5), int(width * SHIFT + 0.5)
    rows = (uniform[:, 0, None] * (2 * down + 1)).long() + _axis(images, height)
    columns = (uniform[:, 1, None] * (2 * right + 1)).long() + _axis(images, width)
    padded = F.pad(images, (right, right, down, down))
    # Rows [n, height] and columns [n, width] select a window of each padded image.
    sample = torch.arange(n, device=images.device)[:, None, None]
    shifted = padded.permute(0, 2, 3, 1)[sample, rows[:, :, None], columns[:, None, :]]
    return shifted.permute(0, 3, 1, 2)


def cutout(images: Tensor, uniform: Tensor) -> Tensor:
    """Set a rectangle of half the size, centred anywhere, to zero."""
    inside = []
    for axis, size in enumerate(images.shape[2:]):
        length = int(size * CUTOUT + 0.5)
        centre = (uniform[:, axis, None] * (size + 1 - length % 2)).long()
        offset = _axis(images, size) - (centre - length // 2)
        inside.append((offset >= 0) & (offset < length))
    hole = inside[0][:, None, :, None] & inside[1][:, None, None, :]
    return images.masked_fill(hole, 0)


def flip(images: Tensor, uniform: Tensor) -> Tensor:
    """Mirror every other image on average, left for right."""
    return torch.where(uniform[:, 0, None, None, None] < 0.5, images.flip(3), images)


def scale(images: Tensor, uniform: Tensor) -> Tensor:
    """Zoom each axis by a factor of its own."""
    factors = uniform[:, :2] * (SCALE - 1 / SCALE) + 1 / SCALE
    return _affine(images, torch.diag_embed(factors))


def rotate(images: Tensor, uniform: Tensor) -> Tensor:
    """Rotate by up to `ROTATION` degrees, without shearing images that are not square."""
    angle = (uniform[:, 0] - 0.5) * (2 * ROTATION * math.pi / 180)
    cos, sin = angle.cos(), angle.sin()
    height, width = images.shape[2:]
    aspect = max(1, height - 1) / max(1, width - 1)  # the grid has -1 to 1 on both axes
    matrices = torch.stack([cos, -sin * aspect, sin / aspect, cos], dim=1)
    return _affine(images, matrices.view(-1, 2, 2))


OPERATIONS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "color": color,
    "crop": crop,
    "cutout": cutout,
    "flip": flip,
    "scale": scale,
    "rotate": rotate,
}


def _axis(images: Tensor, size: int) -> Tensor:
    return torch.arange(size, device=images.device)


def _affine(images: Tensor, matrices: Tensor) -> Tensor:
    """Sample images where matrices [n, 2, 2] map the grid; zeros outside."""
    affine = F.pad(matrices, (0, 1))  # [n, 2, 3], no translation
    grid = F.affine_grid(affine, list(images.shape), align_corners=True)
    return F.grid_sample(images, grid, padding_mode="zeros", align_corners=True)
