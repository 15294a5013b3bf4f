"""What is compared may be the deeper weights, or points of a line, and a student may see mirror
images too; the meta-gradient is still that of what is compared, by plain autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import OPERATIONS, Draw, augment
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.matching import deepest_weights
from datm_engine.distillation.segment_reader import Segments
from datm_engine.distillation.sharding import WHOLE, Sharding
from datm_engine.distillation.window import Window
from datm_engine.experts.train import train_experts
from datm_engine.settings.config import Config
from datm_engine.training.losses import soft_cross_entropy, student_gradient
from tests.distillation.test_matching import Problem, assert_equal
from tests.on_ranks import on_ranks

Parts = tuple[Tensor, Tensor, Tensor, Tensor]
STEPS = 9


def problem(batch: int = 3) -> Problem:
    return Problem(
        batch=batch, steps=STEPS, operations=list(OPERATIONS), soft=True, norm="instance"
    )


def parts(
    given: Problem, sharding: Sharding = WHOLE, keep: int = 0, first: int = 0, exact: bool = True
) -> Parts:
    """Loss and the three gradients, by the recursion, of the weights from `first` on."""
    return given.parts(keep, sharding=sharding, exact=exact, matched_weights=slice(first, None))


def plain(given: Problem, first: int = 0, mirrors: tuple[bool, ...] = (False,)) -> Parts:
    """The same by plain autograd; a step is on the mean of what its batch is as it is and
    mirrored."""
    learned = (given.images, given.labels, given.syn_lr)
    images, labels, syn_lr = (t.detach().requires_grad_() for t in learned)
    theta = given.start.detach().requires_grad_()
    for step in given.steps:
        seen = augment(images[step.indices], step.draw)
        losses = [
            soft_cross_entropy(
                given.network(theta, seen.flip(3) if mirror else seen), labels[step.indices]
            )
            for mirror in mirrors
        ]
        (g,) = torch.autograd.grad(sum(losses) / len(losses), theta, create_graph=True)
        theta = theta - syn_lr * g
    away, began = theta - given.target, given.start - given.target
    compared = away[first:].square().sum() / began[first:].square().sum()
    return compared.detach(), *torch.autograd.grad(compared, (images, labels, syn_lr))


@pytest.mark.parametrize("keep", [0, 4, STEPS])
@pytest.mark.parametrize("share", [0.75, 0.5, 1e-9])
def test_the_deeper_weights_alone_are_compared_and_all_learn(share: float, keep: int) -> None:
    given = problem()
    first = deepest_weights(len(given.start), share).start
    found = parts(given, keep=keep, first=first)
    assert_equal(found, plain(given, first))
    assert not torch.allclose(found[1], parts(given)[1]), "another loss than that of all weights"
    moved = given.student(matched_weights=slice(first, None)).weights[-1] - given.start
    assert bool((moved[:first] != 0).any()), "the student trains all of them"


def test_all_weights_are_the_loss_as_it_was() -> None:
    given = problem()
    assert all(map(torch.equal, parts(given, first=0), given.parts()))


def test_the_share_is_of_single_weights_and_at_least_one_is_matched() -> None:
    assert deepest_weights(100, 1.0).start == 0
    assert deepest_weights(100, 0.75).start == 25
    assert deepest_weights(101, 0.5).start == 51
    assert deepest_weights(100, 1e-6).start == 99


def test_the_deepest_weights_are_the_classifiers() -> None:
    names = problem().network.layout.names
    assert names[0].startswith("features.0")
    assert names[-2:] == ("classifier.weight", "classifier.bias")


def match(ranks: Ranks, folder: Path) -> None:
    torch.save(parts(problem(), Sharding(ranks, 2), 6, first=100), folder / f"{ranks.rank}.pt")


def test_ranks_compare_the_same_weights(tmp_path: Path) -> None:
    assert on_ranks(2, match, tmp_path) == [0, 0]
    ours, theirs = (torch.load(tmp_path / f"{rank}.pt") for rank in range(2))
    assert all(map(torch.equal, ours, theirs))
    assert_equal(ours, plain(problem(), 100))


@pytest.mark.parametrize("keep", [0, 4, STEPS])
@pytest.mark.parametrize("pieces", [None, 2], ids=["whole", "in pieces"])
def test_a_mirrored_student_sees_every_image_and_its_mirror_image(
    keep: int, pieces: int | None
) -> None:
    given = problem()
    given.gradient = student_gradient(given.network, mirrored=True)
    found = parts(given, Sharding(piece_size=pieces), keep)
    assert_equal(found, plain(given, mirrors=(False, True)))
    assert not torch.allclose(found[1], problem().parts()[1]), "another student than without"


def test_what_a_mirrored_student_learns_from_is_the_same_mirrored() -> None:
    given = problem()
    given.gradient = student_gradient(given.network, mirrored=True)
    exchanged = problem()
    exchanged.gradient = given.gradient
    exchanged.images = given.images.flip(3)
    unaugmented = [replace(step, draw=Draw(None, step.draw.uniform)) for step in given.steps]
    given.steps = exchanged.steps = unaugmented
    ours, theirs = parts(given), parts(exchanged)
    assert torch.allclose(ours[1], theirs[1].flip(3))
    assert torch.allclose(ours[0], theirs[0])


def test_a_convex_trajectory_is_the_line_from_first_to_last(
    make_config: Callable[..., Config],
    digits: PreparedData,
    cpu: Runtime,
    tmp_path: Path,
    finished: Callable[[Any], tuple[list[Any], Any]],
) -> None:
    config = make_config(distill={"trajectories": "convex"})
    _, experts = finished(train_experts, config, digits, tmp_path, cpu)
    found = Segments(config, Window(2, 3, 3, 0), experts, cpu)(0)
    first, last = experts.segment(found.expert, 0, 4)
    assert (found.start_epoch, found.target_epoch) == (2, 3)
    assert torch.allclose(found.start, (first + last) / 2)
    assert torch.allclose(found.target, (first + 3 * last) / 4)
