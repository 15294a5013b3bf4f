"""Sizes of the ConvNet's maps, and the multiply-adds of its convolutions, without torch.

The number of threads, settings for a CPU and the cost of a run follow from them.
"""

from __future__ import annotations

Size = tuple[int, int, int]  # channels, height, width


def block_inputs(width: int, depth: int, size: Size) -> list[Size]:
    """The size of what each of `depth` blocks takes, and at last of what the classifier takes.
    size: of an image."""
    sizes = [size]
    for _ in range(depth):
        _, height, columns = sizes[-1]
        sizes.append((width, height // 2, columns // 2))  # pooled
    return sizes


def convolution_multiply_adds(width: int, depth: int, size: Size) -> list[int]:
    """The multiply-adds of each block's convolution over an image, with kernels of 3×3."""
    inputs = block_inputs(width, depth, size)[:depth]
    return [9 * channels * width * height * columns for channels, height, columns in inputs]


def convnet_multiply_adds(width: int, depth: int, size: Size) -> int:
    """Of the ConvNet's forward pass over an image, by its convolutions."""
    return sum(convolution_multiply_adds(width, depth, size))
