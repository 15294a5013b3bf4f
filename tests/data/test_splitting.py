"""Choices of images: disjoint, as even over the classes as can be, and a seed's own."""

from __future__ import annotations

import pytest
import torch

from datm_engine.compute.runtime import generator
from datm_engine.data.splitting import choose, hold_out, ranks_within_class

LABELS = torch.tensor([0] * 50 + [1] * 30 + [2] * 4).flip(0)


def test_ranks_number_each_class_from_zero() -> None:
    ranks = ranks_within_class(LABELS, generator(0, "test"))
    for label, count in ((0, 50), (1, 30), (2, 4)):
        assert ranks[label == LABELS].sort().values.tolist() == list(range(count))


@pytest.mark.parametrize(
    ("count", "shares"),
    [(3, [1, 1, 1]), (9, [3, 3, 3]), (12, [4, 4, 4]), (24, [10, 10, 4]), (84, [50, 30, 4])],
)
def test_chosen_images_are_shared_as_evenly_as_the_classes_allow(
    count: int, shares: list[int]
) -> None:
    chosen = choose(LABELS, count, seed=3)
    assert torch.bincount(LABELS[chosen], minlength=3).tolist() == shares
    assert chosen.tolist() == sorted(set(chosen.tolist()))


def test_images_left_over_go_to_classes_of_the_seeds_choice() -> None:
    labels = torch.arange(5).repeat_interleave(10)
    shares = [torch.bincount(labels[choose(labels, 12, seed)]).tolist() for seed in range(20)]
    assert all(sorted(share) == [2, 2, 2, 3, 3] for share in shares)
    assert len({tuple(share) for share in shares}) > 1


def test_more_images_than_there_are_means_all_of_them() -> None:
    assert choose(LABELS, 1000, seed=0).tolist() == list(range(len(LABELS)))


def test_a_smaller_choice_of_a_seed_is_part_of_a_larger_one() -> None:
    small, large = choose(LABELS, 10, seed=1), choose(LABELS, 40, seed=1)
    assert set(small.tolist()) < set(large.tolist())


def test_the_held_out_share_is_taken_of_every_class() -> None:
    held = hold_out(LABELS, 0.2, seed=0)
    assert torch.bincount(LABELS[held]).tolist() == [10, 6, 1]


def test_at_least_one_image_is_held_out_and_one_kept() -> None:
    labels = torch.tensor([0, 0, 1, 2, 2])
    assert torch.bincount(labels[hold_out(labels, 0.01, seed=0)]).tolist() == [1, 0, 1]
    assert torch.bincount(labels[hold_out(labels, 0.89, seed=0)]).tolist() == [1, 0, 1]


def test_nothing_is_held_out_of_a_share_of_zero() -> None:
    assert not hold_out(LABELS, 0.0, seed=0).any()


def test_the_seed_decides_and_repeats() -> None:
    assert choose(LABELS, 20, seed=5).equal(choose(LABELS, 20, seed=5))
    assert not choose(LABELS, 20, seed=5).equal(choose(LABELS, 20, seed=6))
    assert hold_out(LABELS, 0.3, seed=5).equal(hold_out(LABELS, 0.3, seed=5))
    assert not hold_out(LABELS, 0.3, seed=5).equal(hold_out(LABELS, 0.3, seed=6))
