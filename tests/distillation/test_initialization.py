"""Where a synthetic set starts, against its definition, with experts one can see through."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.distillation.initialization import (
    check_ipc,
    correct_images,
    initial_set,
    initial_soft_labels,
    permuted_by_class,
    random_images,
)
from datm_engine.errors import DataError, Setting
from datm_engine.experts.train import expert_network, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Initialized, Noted
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from tests.conftest import finish, tiny_config

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


@pytest.fixture
def overtrained(digits: PreparedData, cpu: Runtime, tmp_path: Path) -> tuple[Config, ExpertSet]:
    """Experts whose weights after epoch 3 are worse than those after epoch 2."""
    config = tiny_config()
    _, experts = finish(train_experts, config, digits, tmp_path, cpu)
    for expert in range(2):
        rows = torch.stack([experts.snapshot(expert, epoch) for epoch in range(5)])
        rows[3:] *= 5
        rows[2] = rows[1] + (rows[2] - rows[1]) * 2
        experts.save(expert, rows, {})
    return config, experts


def start(
    config: Config, data: PreparedData, experts: ExpertSet, cpu: Runtime, **distill: Any
) -> tuple[SyntheticSet, list[str]]:
    """The initial set with these settings, and where its labels come from, with any notes."""
    config = config.with_values({"distill": distill}, "here")
    network = expert_network(config, data, 0, cpu)
    seen, made = finish(initial_set, config, data, experts, network, cpu)
    return made, [
        event.text if isinstance(event, Noted) else event.label_source
        for event in seen
        if isinstance(event, Initialized | Noted)
    ]


def test_labels_come_from_the_epoch_that_is_stated(
    overtrained: tuple[Config, ExpertSet], digits: PreparedData, cpu: Runtime
) -> None:
    config, experts = overtrained
    last, (source,) = start(config, digits, experts, cpu)
    assert source == "logits of 2 experts at epoch 4"
    best, (source,) = start(config, digits, experts, cpu, label_epoch="best")
    assert source == "logits of 2 experts at epoch 2 of 4, that of the lowest held-out loss"
    second, (source,) = start(config, digits, experts, cpu, label_epoch=2)
    assert source == "logits of 2 experts at epoch 2 of 4"
    assert torch.equal(best.labels, second.labels)
    assert torch.equal(best.images, second.images), "correct images are chosen by the same epoch"
    assert not torch.equal(best.labels, last.labels)


def test_without_held_out_images_labels_come_from_the_last_epoch(
    overtrained: tuple[Config, ExpertSet], digits: PreparedData, cpu: Runtime
) -> None:
    config, experts = overtrained
    data = replace(digits, validation=digits.validation.subset(torch.arange(0)))
    last, _ = start(config, data, experts, cpu)
    made, (note, source) = start(config, data, experts, cpu, label_epoch="best")
    assert torch.equal(made.labels, last.labels)
    assert "no images are held out" in note
    assert source == "logits of 2 experts at epoch 4"
    _, notes = start(config, data, experts, cpu, label_epoch="best", labels="hard", images="random")
    assert notes == ["one-hot, fixed"], "nothing depends on the epoch"
