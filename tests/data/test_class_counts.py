"""The counts of a split by its rule are those of the split itself."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from datm_engine.data import splitting
from datm_engine.data.class_counts import evenly, held_out
from datm_engine.data.description import remaining
from datm_engine.data.image_sets import PartName, TrainingCounts
from datm_engine.settings.config import DatasetConfig
from tests.data.conftest import dataset_settings

COUNTS = ((142, 146, 142, 139), (1, 2, 3, 50), (5_000,) * 10, (7, 7, 7))


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("share", [0.0, 0.1, 0.15, 0.2, 1 / 3, 0.5, 0.99])
def test_a_share_is_rounded_as_torch_rounds(counts: tuple[int, ...], share: float) -> None:
    torch_counts = torch.tensor(counts)
    expected = (torch_counts * share).round().long().clamp_min(1).minimum(torch_counts - 1)
    expected = expected if share else torch.zeros_like(expected)
    assert held_out(np.array(counts), share).tolist() == expected.tolist()


def test_a_share_of_many_counts_is_rounded_as_torch_rounds() -> None:
    counts = torch.arange(2, 20_000)
    for share in (0.05, 0.1, 0.15, 0.2, 0.25, 0.3):
        expected = (counts * share).round().long().clamp_min(1).minimum(counts - 1)
        assert held_out(counts.numpy(), share).tolist() == expected.tolist()


@pytest.mark.parametrize("counts", COUNTS)
@pytest.mark.parametrize("wanted", ["all", 8, 12, 21, 53, 100, 101, 10_000])
@pytest.mark.parametrize("parts", [("train",), ("train", "test"), ("train", "validation", "test")])
def test_what_is_left_is_what_the_split_leaves(
    counts: tuple[int, ...], wanted: int | str, parts: tuple[PartName, ...]
) -> None:
    settings: DatasetConfig = dataset_settings("digits").model_copy(
        update={"train_images": wanted, "validation": 0.1, "test": 0.2}
    )
    labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
    mixed = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))]
    used, _, _ = splitting.split(mixed, settings, parts)
    known = TrainingCounts(tuple("abcdefghij"[: len(counts)]), np.array(counts), parts)
    expected = mixed[used].bincount(minlength=len(counts))
    assert remaining(known, settings).tolist() == expected.tolist()


def test_a_draw_decides_only_where_a_round_is_not_whole() -> None:
    counts = np.array([5, 5, 5])
    assert evenly(counts, 6) is not None
    assert evenly(counts, 7) is None
    assert evenly(np.array([1, 5, 5]), 5) is not None  # 1, 2, 2
