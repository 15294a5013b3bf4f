"""The deeper weights alone may be compared, or a line be matched, and a student may see mirror
images; the meta-gradient still equals that of plain autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.data.augmentation import OPERATIONS, Draw, augment
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.matching import Student, first_matched, meta_gradient, train_student
from datm_engine.distillation.segment_reader import Segments
from datm_engine.distillation.sharding import Division
from datm_engine.distillation.window import Window
from datm_engine.experts.train import train_experts
from datm_engine.settings.config import Config
from datm_engine.training.losses import soft_cross_entropy, student_gradient
from tests.distillation.test_matching import Problem, assert_equal

Parts = tuple[Tensor, Tensor, Tensor, Tensor]
STEPS = 9


def problem(batch: int = 3) -> Problem:
    return Problem(
        batch=batch, steps=STEPS, operations=list(OPERATIONS), soft=True, norm="instance"
    )


def student(given: Problem, **how: Any) -> Student:
    learned = (given.images, given.labels, given.syn_lr, given.steps)
    return train_student(given.gradient, given.start, given.target, *learned, **how)


def parts(
    given: Problem, division: Division | None = None, exact: bool = True, **how: Any
) -> Parts:
    """Loss and the three gradients, by the recursion."""
    division = division or Division()
    trained = student(given, division=division, **how)
    learned = (given.images, given.labels, given.syn_lr, given.steps)
    found = meta_gradient(given.gradient, trained, given.target, *learned, division, exact=exact)
    assert not trained.graphs
    return trained.loss, found.images, found.labels, found.syn_lr


def plain(given: Problem, first: int = 0, mirrors: tuple[bool, ...] = (False,)) -> Parts:
    """The same by autograd through all steps, over the weights from `first` on; a step is on the
    mean over its batch as it is and mirrored."""
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
    first = first_matched(len(given.start), share)
    found = parts(given, keep=keep, first=first)
    assert_equal(found, plain(given, first))
    assert not torch.allclose(found[1], parts(given)[1]), "another loss than that of all weights"
    moved = student(given, first=first).weights[-1] - given.start
    assert bool((moved[:first] != 0).any()), "the student trains all of them"


def test_all_weights_are_the_loss_as_it_was() -> None:
    given = problem()
    assert all(map(torch.equal, parts(given, first=0), given.parts()))


def test_the_share_is_of_single_weights_and_at_least_one_is_matched() -> None:
    assert first_matched(100, 1.0) == 0
    assert first_matched(100, 0.75) == 25
    assert first_matched(101, 0.5) == 51
    assert first_matched(100, 1e-6) == 99


def test_the_deepest_weights_are_the_classifiers() -> None:
    names = problem().network.layout.names
    assert names[0].startswith("features.0")
    assert names[-2:] == ("classifier.weight", "classifier.bias")


@pytest.mark.parametrize("keep", [0, 4, STEPS])
@pytest.mark.parametrize("pieces", [None, 2], ids=["whole", "in pieces"])
def test_a_mirrored_student_sees_every_image_and_its_mirror_image(
    keep: int, pieces: int | None
) -> None:
    given = problem()
    given.gradient = student_gradient(given.network, mirrored=True)
    division = None if pieces is None else Division(most=pieces)
    found = parts(given, division, keep=keep)
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
