"""A batch in pieces and over ranks has the gradient of the whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.memory_errors import OutOfMemory
from datm_engine.compute.ranks import Ranks
from datm_engine.data.augmentation import OPERATIONS, augment
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.matching import train_student
from datm_engine.distillation.sharding import WHOLE, ShardedGradients, Sharding
from datm_engine.training.losses import Gradient
from tests.distillation.test_matching import IMAGES, Problem
from tests.on_ranks import on_ranks

Parts = dict[str, Tensor]
# name → (images a step, of how many steps graphs are kept, most images a piece, exact)
WAYS: dict[str, tuple[int, int, int | None, bool]] = {
    "plain": (4, 0, None, True),
    "odd batches": (7, 0, None, True),
    "graphs kept": (4, 3, None, True),
    "pieces": (7, 2, 2, True),
    "a rank without images": (1, 1, None, True),
    "TESLA's": (4, 0, 1, False),
}


def found(problem: Problem, keep: int, sharding: Sharding = WHOLE, exact: bool = True) -> Parts:
    """Loss and gradients."""
    names = ("loss", "images", "labels", "syn_lr")
    return dict(zip(names, problem.parts(keep, exact=exact, sharding=sharding), strict=True))


def problem(batch: int) -> Problem:
    return Problem(batch=batch, steps=6, operations=list(OPERATIONS), soft=True, norm="instance")


def assert_close(ours: Parts, theirs: Parts, relative: float) -> None:
    for name, expected in theirs.items():
        assert float((ours[name] - expected).norm()) <= relative * float(expected.norm()), name


@pytest.mark.parametrize("exact", [True, False], ids=["exact", "TESLA's"])
@pytest.mark.parametrize("keep", [0, 4])
@pytest.mark.parametrize("most", [1, 2, 3, 6])
def test_pieces_have_the_gradient_of_the_whole(most: int, keep: int, exact: bool) -> None:
    whole = found(problem(IMAGES), 0, WHOLE, exact)
    assert_close(found(problem(IMAGES), keep, Sharding(piece_size=most), exact), whole, 1e-12)


@pytest.mark.parametrize("most", [None, IMAGES, 100])
def test_one_piece_is_the_step_itself(most: int | None) -> None:
    (step, *_) = problem(IMAGES).steps
    (piece,) = Sharding(piece_size=most).pieces(step)
    assert piece is step


def test_pieces_are_as_equal_as_can_be_and_share_the_batch() -> None:
    (step, *_) = problem(IMAGES).steps
    sizes = []
    for rank in range(2):
        sharding = Sharding(Ranks(rank, 2), 2)
        sizes.append([len(piece.indices) for piece in sharding.pieces(step)])
    assert sizes == [[2, 2], [2, 1]]
    for count, most in ((1, 3), (2, 2), (3, None), (9, 1)):
        shardings = [Sharding(Ranks(rank, count), most) for rank in range(count)]
        pieces = [piece for sharding in shardings for piece in sharding.pieces(step)]
        assert torch.equal(torch.cat([p.indices for p in pieces]), step.indices)
        assert torch.equal(torch.cat([p.draw.uniform for p in pieces]), step.draw.uniform)
        assert sum(p.share for p in pieces) == pytest.approx(1, rel=1e-12)
        assert max(len(p.indices) for p in pieces) == shardings[0].largest_piece(IMAGES)


@pytest.mark.parametrize("operation", list(OPERATIONS))
def test_augmentation_of_a_slice_is_the_slice_of_the_augmentation(operation: str) -> None:
    given = Problem(batch=IMAGES, steps=1, operations=[operation], soft=True, norm="instance")
    (step,) = given.steps
    pieces = Sharding(piece_size=3).pieces(step)
    assert len(pieces) == 3
    parts = [augment(given.images[piece.indices], piece.draw) for piece in pieces]
    assert torch.equal(torch.cat(parts), augment(given.images[step.indices], step.draw))


def short_of_memory(gradient: Gradient, most: int) -> Gradient:
    """One with room for so many images."""

    def tight(theta: Tensor, images: Tensor, labels: Tensor) -> Tensor:
        if len(images) > most:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return gradient(theta, images, labels)

    return tight


def test_a_piece_that_does_not_fit_is_noticed() -> None:
    tight = problem(IMAGES)
    tight.gradient = short_of_memory(tight.gradient, 3)
    with pytest.raises(OutOfMemory):
        found(tight, 0, WHOLE)
    assert_close(found(tight, 2, Sharding(piece_size=3)), found(problem(IMAGES), 0, WHOLE), 1e-12)


def match(ranks: Ranks, folder: Path) -> None:
    """What each rank finds; and that all notice when the last one has no room."""
    results: dict[str, Any] = {}
    for name, (batch, keep, most, exact) in WAYS.items():
        results[name] = found(problem(batch), keep, Sharding(ranks, most), exact)
    tight = problem(IMAGES)
    if ranks.rank == ranks.count - 1:
        tight.gradient = short_of_memory(tight.gradient, 1)
    sharding = Sharding(ranks)
    with pytest.raises(OutOfMemory):
        found(tight, 0, sharding)
    with pytest.raises(OutOfMemory):
        found(tight, 0, Sharding(ranks, 3))
    with pytest.raises(OutOfMemory):
        tight.student(sharding=Sharding(ranks))  # without a way back
    learned = Learned(tight.images, tight.labels, tight.syn_lr)
    gradients = ShardedGradients(tight.gradient, learned, tight.steps, Sharding(ranks))
    train_student(gradients, tight.start, tight.target, len(tight.steps))
    with pytest.raises(OutOfMemory):
        gradients.check_memory()  # before any rank begins the way back
    results["after running out"] = found(tight, 0, Sharding(ranks, 1))
    torch.save(results, folder / f"{ranks.rank}.pt")


@pytest.fixture(scope="module")
def on_two(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Parts]]:
    folder = tmp_path_factory.mktemp("ranks")
    assert on_ranks(2, match, folder) == [0, 0]
    return [torch.load(folder / f"{rank}.pt") for rank in range(2)]


@pytest.mark.parametrize("name", WAYS)
def test_ranks_find_what_one_finds(name: str, on_two: list[dict[str, Parts]]) -> None:
    batch, _, _, exact = WAYS[name]
    alone = found(problem(batch), 0, WHOLE, exact)
    for theirs in on_two:
        assert_close(theirs[name], alone, 1e-9)
        for part, tensor in on_two[0][name].items():
            assert torch.equal(theirs[name][part], tensor), "the same bits on all ranks"


def test_ranks_go_on_when_one_ran_out_of_memory(on_two: list[dict[str, Parts]]) -> None:
    alone = found(problem(IMAGES), 0, WHOLE)
    for theirs in on_two:
        assert_close(theirs["after running out"], alone, 1e-9)
