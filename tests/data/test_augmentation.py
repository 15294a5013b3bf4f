"""Each operation against its definition, image by image."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import OPERATIONS, Draw, augment, draw

N, SIZE = 6, 16


@pytest.fixture
def images() -> Tensor:
    return torch.randn(N, 3, SIZE, SIZE, generator=generator(0), dtype=torch.float64)


@pytest.fixture
def uniform() -> Tensor:
    return torch.rand(N, 3, generator=generator(1)).double()


def test_color(images: Tensor, uniform: Tensor) -> None:
    found = augment(images, Draw("color", uniform))
    for image, (b, s, c), ours in zip(images, uniform.tolist(), found, strict=True):
        expected = image + (b - 0.5)
        grey = expected.mean(0, keepdim=True)
        expected = (expected - grey) * 2 * s + grey
        expected = (expected - expected.mean()) * (c + 0.5) + expected.mean()
        assert torch.allclose(ours, expected)


def test_crop_shifts_by_at_most_an_eighth(images: Tensor) -> None:
    most = 2  # int(0.125 · 16 + 0.5)
    seen = set()
    uniform = torch.rand(300, 3, generator=generator(2)).double()
    shifted = augment(images[:1].expand(300, -1, -1, -1), Draw("crop", uniform))
    padded = F.pad(images[0], (most,) * 4)
    windows = {
        (row, column): padded[:, row : row + SIZE, column : column + SIZE]
        for row in range(2 * most + 1)
        for column in range(2 * most + 1)
    }
    for ours in shifted:
        seen |= {at for at, window in windows.items() if torch.equal(ours, window)}
    assert seen == set(windows)


def test_cutout_zeroes_a_square_of_half_the_size(images: Tensor) -> None:
    ones = torch.ones(400, 1, SIZE, SIZE, dtype=torch.float64)
    uniform = torch.rand(400, 3, generator=generator(3)).double()
    holes = augment(ones, Draw("cutout", uniform)) == 0
    sizes = holes.sum((1, 2, 3))
    assert int(sizes.max()) == (SIZE // 2) ** 2
    for hole in holes[:50, 0]:
        rows, columns = hole.any(1).nonzero(), hole.any(0).nonzero()
        assert hole[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1].all()
    kept = augment(images, Draw("cutout", uniform[:N]))
    assert torch.equal(kept[kept != 0], images[kept != 0])


def test_flip_mirrors_half_of_them(images: Tensor) -> None:
    uniform = torch.tensor([[0.1, 0, 0], [0.9, 0, 0]] * 3, dtype=torch.float64)
    found = augment(images, Draw("flip", uniform))
    assert torch.equal(found[0::2], images[0::2].flip(3))
    assert torch.equal(found[1::2], images[1::2])


@pytest.mark.parametrize("operation", ["scale", "rotate"])
def test_affine_operations(operation: str, images: Tensor, uniform: Tensor) -> None:
    found = augment(images, Draw(operation, uniform))
    for i, (u, v, _) in enumerate(uniform.tolist()):
        if operation == "scale":
            low, high = 1 / 1.2, 1.2
            matrix = [[low + u * (high - low), 0, 0], [0, low + v * (high - low), 0]]
        else:
            angle = math.radians(-15 + 30 * u)
            matrix = [[math.cos(angle), -math.sin(angle), 0], [math.sin(angle), math.cos(angle), 0]]
        theta = torch.tensor([matrix], dtype=torch.float64)
        grid = F.affine_grid(theta, [1, 3, SIZE, SIZE], align_corners=True)
        expected = F.grid_sample(
            images[i : i + 1], grid, mode="bilinear", padding_mode="zeros", align_corners=True
        )
        assert torch.allclose(found[i], expected[0])


def test_extremes_keep_the_centre_where_it_is(images: Tensor) -> None:
    """The middle of the range of `rotate` is no rotation."""
    still = augment(images, Draw("rotate", torch.full((N, 3), 0.5, dtype=torch.float64)))
    assert torch.allclose(still, images)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_draws_replay_and_differ_within_a_batch(operation: str, images: Tensor) -> None:
    first, second = (draw([operation], [N, N], generator(5)) for _ in range(2))
    again = augment(images, second[0])
    assert torch.equal(augment(images, first[0]), again)
    same = images[:1].expand(N, -1, -1, -1)
    assert len(torch.unique(augment(same, first[0]).flatten(1), dim=0)) > 1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_one_layout_whatever_the_operation(
    operation: str, channels: int, images: Tensor, uniform: Tensor
) -> None:
    """Strides and all: a compiled step is compiled anew for others."""
    found = augment(images[:, :channels].contiguous(), Draw(operation, uniform))
    assert found.stride() == torch.empty(found.shape).stride()


def test_operations_are_drawn_evenly_one_a_batch() -> None:
    drawn = [d.operation for d in draw(list(OPERATIONS), [2] * 1200, generator(6))]
    assert set(drawn) == set(OPERATIONS)
    assert all(150 < drawn.count(name) < 250 for name in OPERATIONS)


def test_without_operations_nothing_changes(images: Tensor) -> None:
    (only,) = draw([], [N], generator(0))
    assert augment(images, only) is images


@pytest.mark.parametrize("size", [(4, 1), (1, 4), (1, 1)])
def test_images_of_a_single_row_or_column_are_augmented(size: tuple[int, int]) -> None:
    images = torch.ones(N, 1, *size)
    for operation in OPERATIONS:
        found = augment(images, Draw(operation, torch.full((N, 3), 0.5)))
        assert found.shape == images.shape
        assert found.isfinite().all(), operation
