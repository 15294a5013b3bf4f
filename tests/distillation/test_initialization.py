"""Where a synthetic set starts, against its definition, with experts one can see through."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn

from datm_engine.distillation.initialization import (
    check_ipc,
    correct_images,
    initial_soft_labels,
    permuted_by_class,
    random_images,
)
from datm_engine.errors import DataError, Setting
from datm_engine.networks.weights import FlatNetwork

CLASSES = 3


class Shift(nn.Module):
    """Reads the logits off the image's first pixels, and adds its weights to them."""

    def __init__(self) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(CLASSES))

    def forward(self, images: Tensor) -> Tensor:
        return images.flatten(1)[:, :CLASSES] + self.bias


NETWORK = FlatNetwork(Shift())


def images_that_say(said: list[int]) -> Tensor:
    """An image each, which an expert with weights of zero classifies as `said`."""
    images = torch.zeros(len(said), 1, 2, 2)
    for image, c in zip(images, said, strict=True):
        image.view(-1)[c] = 1.0
    return images


def experts(*biases: list[float]) -> Iterator[Tensor]:
    return iter([torch.tensor(bias) for bias in biases])


NEUTRAL, FOR_TWO = [0.0, 0.0, 0.0], [0.0, 0.0, 9.0]
LABELS = torch.tensor([0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2])
SAID = [0, 1, 0, 0, 1, 1, 2, 0, 2, 0, 1, 1]  # right: 0 2 3, 4 5, 8


def test_the_first_correct_ones_of_a_seeded_order_are_kept() -> None:
    chosen = correct_images(
        NETWORK, experts(NEUTRAL), images_that_say(SAID), LABELS, CLASSES, 2, seed=0
    )
    order = permuted_by_class(LABELS, CLASSES, seed=0)
    right = {0, 2, 3, 4, 5, 8}
    expected = [[i for i in own.tolist() if i in right][:2] for own in order]
    assert chosen.indices[:2].tolist() == expected[0]
    assert chosen.indices[2:4].tolist() == expected[1]
    assert chosen.indices[4] == 8
    assert chosen.qualified == (2, 2, 1)


def test_the_next_expert_goes_on_where_the_first_ran_out() -> None:
    """Only class 2 is short, and the second expert takes everything for class 2."""
    used: list[int] = []

    def counted() -> Iterator[Tensor]:
        for k, bias in enumerate((NEUTRAL, FOR_TWO, FOR_TWO)):
            used.append(k)
            yield torch.tensor(bias)

    chosen = correct_images(NETWORK, counted(), images_that_say(SAID), LABELS, CLASSES, 2, seed=0)
    assert chosen.qualified == (2, 2, 2)
    assert 8 in chosen.indices[4:].tolist()
    assert used == [0, 1], "experts are only asked as long as images are wanted"


@pytest.mark.parametrize("seed", range(5))
def test_a_class_with_too_few_is_filled_up_without_repeats(seed: int) -> None:
    chosen = correct_images(
        NETWORK, experts(NEUTRAL), images_that_say(SAID), LABELS, CLASSES, 4, seed=seed
    )
    assert chosen.qualified == (3, 2, 1)
    assert torch.equal(LABELS[chosen.indices], torch.arange(CLASSES).repeat_interleave(4))
    assert sorted(chosen.indices.tolist()) == list(range(12))


def test_labels_are_the_mean_of_the_correct_experts_logits() -> None:
    images, labels = images_that_say([0, 2, 1]), torch.tensor([0, 2, 0])
    biases = [[0.5, 0.0, 0.0], [0.0, 0.0, 9.0], [3.0, 0.0, 0.0]]
    found = initial_soft_labels(NETWORK, experts(*biases), images, labels)
    result = torch.stack([images.flatten(1)[:, :3] + torch.tensor(bias) for bias in biases])
    assert torch.allclose(found[0], (result[0, 0] + result[2, 0]) / 2), "the second says class 2"
    assert torch.allclose(found[1], (result[0, 1] + result[1, 1]) / 2)
    assert torch.allclose(found[2], result[2, 2]), "only the third says class 0"
    nobody = initial_soft_labels(NETWORK, experts(NEUTRAL, FOR_TWO), images[2:], labels[2:])
    assert torch.allclose(
        nobody[0], (result[0, 2] - torch.tensor(biases[0])) + torch.tensor([0, 0, 4.5])
    )


def test_random_images_are_of_their_class_and_seeded() -> None:
    first, again, other = (random_images(LABELS, CLASSES, 2, seed) for seed in (0, 0, 1))
    assert torch.equal(LABELS[first.indices], torch.tensor([0, 0, 1, 1, 2, 2]))
    assert torch.equal(first.indices, again.indices)
    assert not torch.equal(first.indices, other.indices)


def test_ipc_above_what_a_class_has() -> None:
    with pytest.raises(DataError, match="class deer has: 3 training images") as raised:
        check_ipc(torch.tensor([0, 0, 0, 0, 1, 1, 1]), ["cat", "deer"], 4)
    assert raised.value.fix == Setting("ipc", 3)
    check_ipc(torch.tensor([0, 0, 1, 1]), ["cat", "deer"], 2)
