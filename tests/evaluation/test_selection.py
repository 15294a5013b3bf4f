"""Each choice of real images against its definition: by hand, and by plain loops over all."""

from __future__ import annotations

import math
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from datm_engine.data.image_sets import ImageSet
from datm_engine.evaluation import baselines
from datm_engine.evaluation.baselines import forgetting, herding, highest, k_center


def points(count: int, dimensions: int = 3, seed: int = 0) -> Tensor:
    return torch.randn(count, dimensions, generator=torch.Generator().manual_seed(seed))


def naive_herding(features: Tensor, count: int) -> list[int]:
    chosen: list[int] = []
    while len(chosen) < min(count, len(features)):
        best, nearest = -1, math.inf
        for i in range(len(features)):
            if i in chosen:
                continue
            mean = features[[*chosen, i]].mean(dim=0)
            distance = float((features.mean(dim=0) - mean).norm())
            if distance < nearest:
                best, nearest = i, distance
        chosen.append(best)
    return chosen


def naive_k_center(features: Tensor, count: int) -> list[int]:
    apart = lambda a, b: float((a - b).norm())  # noqa: E731
    mean = features.mean(dim=0)
    chosen = [min(range(len(features)), key=lambda i: apart(features[i], mean))]
    while len(chosen) < min(count, len(features)):
        left = [i for i in range(len(features)) if i not in chosen]
        nearest = [min(apart(features[i], features[c]) for c in chosen) for i in left]
        chosen.append(left[max(range(len(left)), key=lambda k: nearest[k])])
    return chosen


def test_herding_by_hand() -> None:
    """Of 0, 1, 2, 9 the mean is 3: 2 is nearest; then of (2 + 0, 1, 9) / 2 the middle is 1.5 or
    5.5, and 1.5 the nearer; then of (3 + 0, 9) / 3 it is 4 with 9."""
    assert herding(torch.tensor([[0.0], [1.0], [2.0], [9.0]]), 3).tolist() == [2, 1, 3]


def test_k_center_by_hand() -> None:
    """Of 0, 1, 2, 9 the mean is 3: 2 is nearest; 9 is 7 away from it; then 0 is 2 away."""
    assert k_center(torch.tensor([[0.0], [1.0], [2.0], [9.0]]), 3).tolist() == [2, 3, 0]


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("choice", "naive"), [(herding, naive_herding), (k_center, naive_k_center)]
)
def test_choices_by_features_are_what_plain_loops_find(
    choice: baselines.Choose, naive: Callable[[Tensor, int], list[int]], seed: int
) -> None:
    features = points(12, seed=seed).double()
    assert choice(features, 7).tolist() == naive(features, 7)
    assert choice(features, 1).tolist() == naive(features, 1)
    assert choice(features, 7).equal(choice(features, 7))


@pytest.mark.parametrize("choice", [herding, k_center])
def test_a_class_that_is_too_small_is_taken_whole_and_nothing_twice(
    choice: baselines.Choose,
) -> None:
    assert sorted(choice(points(4), 9).tolist()) == [0, 1, 2, 3]
    twins = torch.ones(5, 2)
    assert sorted(choice(twins, 5).tolist()) == [0, 1, 2, 3, 4]


def test_forgetting_counts_steps_from_right_to_wrong() -> None:
    """Images: always right; right, wrong, right, wrong; learned late; never right; lost at once."""
    right = torch.tensor(
        [[1, 1, 0, 0, 1], [1, 0, 0, 0, 0], [1, 1, 0, 0, 0], [1, 0, 1, 0, 0]], dtype=torch.bool
    )
    never = len(right)
    assert forgetting(right).tolist() == [0, 2, 0, never, 1]


def test_what_was_never_learned_stands_above_whatever_was_forgotten() -> None:
    for epochs in range(1, 8):
        restless = torch.tensor([k % 2 == 0 for k in range(epochs)])
        counts = forgetting(torch.stack([restless, torch.zeros(epochs, dtype=torch.bool)], dim=1))
        assert counts[1] > counts[0]
        assert counts.isfinite().all()


def test_the_highest_of_each_class_the_first_of_equals() -> None:
    scores = torch.tensor([1.0, 5.0, 2.0, 5.0, 0.0, 3.0, 2.0])
    labels = torch.tensor([0, 1, 0, 1, 1, 2, 0])
    assert highest(scores, labels, 3, 2).tolist() == [2, 6, 1, 3, 5]


def test_random_subsets_are_drawn_anew_for_each_seed() -> None:
    labels = torch.arange(3).repeat(20)
    train = ImageSet(torch.arange(60.0)[:, None], labels)
    first, again, other = (baselines.random_subset(train, 3, 4, seed) for seed in (1, 1, 2))
    assert first.labels.bincount().tolist() == [4, 4, 4]
    assert first.images.equal(again.images)
    assert not first.images.equal(other.images)
