"""Settings for a CPU: below those of the family, by what is counted and not by a clock."""

from __future__ import annotations

from typing import Any

import pytest

from datm_engine.settings import presets
from datm_engine.settings.config import flattened, overlay
from datm_engine.settings.convnet_sizes import convnet_multiply_adds
from datm_engine.settings.derived.cpu_settings import (
    FEWEST_ITERATIONS,
    MOST_IMAGES,
    MOST_ITERATIONS,
    cpu_settings,
    most_experts,
)
from datm_engine.settings.image_size import Shape

SHAPE = Shape(10, 3, 32, 32)


def limits(ipc: int, images: int | None = 960, **fixed: Any) -> dict[str, Any]:
    stated = {name.replace("__", "."): value for name, value in fixed.items()}
    tables = presets.load("cifar10-ipc10")
    for name, value in stated.items():
        table, _, key = name.partition(".")
        tables = overlay(tables, {table: {key: value}})
    tables = overlay(tables, {"distill": {"ipc": ipc}})
    is_large = images is None or images > MOST_IMAGES
    found = cpu_settings(tables, SHAPE, images, stated, is_large=is_large)
    for one in found:
        before = flattened(tables)[one.key]
        assert before == "all" or one.value < before
        assert one.reason
    return {one.key: one.value for one in found}


def test_the_forward_pass_of_a_convnet_is_counted_by_its_convolutions() -> None:
    first, second = 32 * 32 * 3 * 8 * 9, 16 * 16 * 8 * 8 * 9
    assert convnet_multiply_adds(8, 2, (3, 32, 32)) == first + second


def test_more_synthetic_images_get_fewer_iterations() -> None:
    counts = [limits(ipc)["distill.iterations"] for ipc in (1, 5, 10, 50, 500)]
    assert counts == sorted(counts, reverse=True)
    assert (counts[0], counts[-1]) == (MOST_ITERATIONS, FEWEST_ITERATIONS)


def test_large_datasets_are_cut_to_what_experts_can_train_on() -> None:
    assert "dataset.train_images" not in limits(10)
    assert limits(10, 50_000)["dataset.train_images"] == MOST_IMAGES
    assert limits(10, None)["dataset.train_images"] == MOST_IMAGES
    assert "dataset.train_images" not in limits(10, 20_000, dataset__train_images=20_000)
    assert "dataset.train_images" not in limits(10, 50_000, dataset__train_images="all")
    # As many synthetic images as that many real ones: they start from real ones.
    assert limits(1000, 50_000)["dataset.train_images"] == 20_000
    assert "dataset.train_images" not in limits(2500, 50_000)
    assert "dataset.train_images" not in limits(2500, None)


def test_what_is_fixed_is_left_out_and_counted_in() -> None:
    wide = limits(10, network__width=64)
    assert "network.width" not in wide
    assert wide["distill.iterations"] < limits(10)["distill.iterations"]


def test_experts_of_many_images_have_fewer_epochs() -> None:
    assert "experts.epochs" not in limits(10)
    assert limits(10, 9_600)["experts.epochs"] == 67
    assert "experts.epochs" not in limits(10, 9_600, experts__epochs=80)
    assert "experts.epochs" not in limits(10, 9_600, experts__epochs="window")


@pytest.mark.parametrize(("images", "most"), [(960, 75), (9_600, 4), (50_000, 4)])
def test_experts_of_more_images_are_fewer(images: int, most: int) -> None:
    tables = overlay(presets.load("cifar10-ipc10"), {"network": {"width": 32}})
    assert most_experts(tables, SHAPE, images).value == most
