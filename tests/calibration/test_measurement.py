"""What experts know after each epoch, against a direct count over snapshots made by hand."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from datm_engine.calibration.measurement import difficulty, measure_learning_curves
from datm_engine.compute.ranks import Ranks
from datm_engine.compute.runtime import Runtime
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import FileError, Stopped
from datm_engine.experts import held_out
from datm_engine.experts.learning_curves import LearningCurves
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.files import validated
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import MeasurementProgress
from datm_engine.settings.config import Config
from tests.conftest import finish, tiny_config
from tests.on_ranks import on_ranks

Make = Callable[..., Config]
EPOCHS, APART = 20, 3


def linear() -> FlatNetwork:
    return FlatNetwork(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)))


def cloud(count: int, noise: float, seed: int) -> ImageSet:
    """Three classes of points in four dimensions, some nearer to their class than others."""
    draws = torch.Generator().manual_seed(seed)
    labels = torch.arange(count) % 3
    points = 3 * torch.eye(4)[labels] + noise * torch.randn(count, 4, generator=draws)
    return ImageSet(points.view(count, 1, 2, 2), labels)


def made(data: PreparedData, noise: float = 1.5) -> PreparedData:
    train, held_out = cloud(60, noise, seed=1), cloud(15, noise, seed=2)
    return replace(data, train=train, validation=held_out, class_names=("a", "b", "c"))


def trained(folder: Path, train: ImageSet, count: int = 3) -> ExpertSet:
    """Experts that descend in full batches, from weights of their own."""
    network = linear()
    experts = ExpertSet(folder, network.layout, EPOCHS)
    experts.create_folder({"by": "hand"})
    for expert in range(count):
        draws = torch.Generator().manual_seed(expert)
        theta = torch.randn(network.layout.size, generator=draws)
        snapshots = [theta]
        for _ in range(EPOCHS):
            theta = theta.detach().requires_grad_()
            loss = F.cross_entropy(network(theta, train.images), train.labels)
            theta = theta - 0.1 * torch.autograd.grad(loss, theta)[0]
            snapshots.append(theta.detach())
        experts.save(expert, torch.stack(snapshots), {})
    return experts


def settings(count: int = 3) -> Config:
    experts = {"count": count, "epochs": EPOCHS}
    return tiny_config(experts=experts, distill={"expert_epochs": APART})


@pytest.fixture
def data(digits: PreparedData) -> PreparedData:
    return made(digits)


@pytest.fixture
def experts(data: PreparedData, tmp_path: Path) -> ExpertSet:
    return trained(tmp_path, data.train)


def measured(
    data: PreparedData, experts: ExpertSet, on: Runtime
) -> tuple[list[Any], LearningCurves]:
    return finish(measure_learning_curves, settings(), data, experts, linear(), on)


def direct(experts: ExpertSet, value: Callable[[Tensor], Tensor]) -> list[float]:
    """The mean over the two measured experts after every epoch."""
    per_epoch = [
        [value(experts.snapshot(expert, epoch)) for expert in range(2)]
        for epoch in range(EPOCHS + 1)
    ]
    return [float(torch.stack(both).double().mean()) for both in per_epoch]


def test_knowledge_is_what_a_direct_count_gives(
    data: PreparedData, experts: ExpertSet, cpu: Runtime
) -> None:
    _, curves = measured(data, experts, cpu)
    network = linear()

    def right(part: ImageSet) -> Callable[[Tensor], Tensor]:
        return lambda theta: (
            100 * (network.predict(theta, part.images).argmax(1) == part.labels).float().mean()
        )

    def loss(theta: Tensor) -> Tensor:
        return F.cross_entropy(network.predict(theta, data.train.images), data.train.labels)

    assert curves.loss == pytest.approx(direct(experts, loss))
    assert curves.accuracy == pytest.approx(direct(experts, right(data.train)))
    assert curves.held_out == pytest.approx(direct(experts, right(data.validation)))
    assert (curves.experts, curves.images, curves.epochs) == (2, 60, EPOCHS)


def test_lengths_are_means_over_the_experts(
    data: PreparedData, experts: ExpertSet, cpu: Runtime
) -> None:
    _, curves = measured(data, experts, cpu)

    def length(start: int, apart: int) -> float:
        moves = [experts.snapshot(k, start + apart) - experts.snapshot(k, start) for k in range(2)]
        return float(torch.stack([move.norm() for move in moves]).mean())

    assert curves.step == pytest.approx([length(t, 1) for t in range(EPOCHS)])
    assert curves.segments == pytest.approx([length(t, APART) for t in range(EPOCHS + 1 - APART)])
    assert curves.expert_epochs == APART


def test_easy_images_are_learned_sooner_and_better(
    data: PreparedData, experts: ExpertSet, cpu: Runtime
) -> None:
    _, curves = measured(data, experts, cpu)
    assert len(curves.easy) == len(curves.hard) == EPOCHS + 1
    assert curves.easy[-1] == 100 > curves.accuracy[-1] > curves.hard[-1]
    assert sum(curves.easy) > sum(curves.accuracy) > sum(curves.hard)


def test_the_middle_third_is_the_rest(data: PreparedData, experts: ExpertSet, cpu: Runtime) -> None:
    """60 images in thirds: what easy and hard leave of all is a share of 20 images."""
    _, curves = measured(data, experts, cpu)
    for whole, easy, hard in zip(curves.accuracy, curves.easy, curves.hard, strict=True):
        middle = 3 * whole - easy - hard
        assert -1e-6 <= middle <= 100 + 1e-6
        assert middle * 20 * 2 / 100 == pytest.approx(round(middle * 20 * 2 / 100))


def test_difficulty_is_the_mean_of_places_and_equals_share_theirs() -> None:
    counts, errors = torch.tensor([0.0, 5, 0, 2]), torch.tensor([0.3, 0.9, 0.1, 0.5])
    # places by count: 0.5, 3, 0.5, 2; by error: 1, 3, 0, 2
    assert difficulty(counts, errors).tolist() == [0.75, 3, 0.25, 2]
    scaled = difficulty(counts, 1000 * errors)
    assert scaled.equal(difficulty(counts, errors)), "units do not weigh"


def test_large_sets_are_measured_on_the_same_drawn_images(
    data: PreparedData, experts: ExpertSet, cpu: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = measured(data, experts, cpu)[1]
    monkeypatch.setattr(held_out, "MEASURED_IMAGES", 24)
    few = measured(data, experts, cpu)[1]
    assert few.images == 24
    assert few.loss != whole.loss
    assert few.held_out == whole.held_out
    assert few == measured(data, experts, cpu)[1]


def test_without_held_out_images(data: PreparedData, experts: ExpertSet, cpu: Runtime) -> None:
    none = ImageSet(data.validation.images[:0], data.validation.labels[:0])
    assert measured(replace(data, validation=none), experts, cpu)[1].held_out is None


def test_a_step_of_progress_for_each_pass_and_it_ends_when_asked_to(
    data: PreparedData, experts: ExpertSet, cpu: Runtime
) -> None:
    seen, _ = measured(data, experts, cpu)
    passes = 2 * (EPOCHS + 1)
    assert seen == [MeasurementProgress(done=done, total=passes) for done in range(passes + 1)]
    asked = iter([False] * 30 + [True] * 30)
    seen = []
    with pytest.raises(Stopped):
        measure_learning_curves(
            settings(),
            data,
            experts,
            linear(),
            replace(cpu, stop=lambda: next(asked)),
            emit=seen.append,
        )
    assert len(seen) < 31


def test_experts_that_are_missing(data: PreparedData, experts: ExpertSet, cpu: Runtime) -> None:
    experts.path(0).unlink()
    experts.path(1).unlink()
    assert measured(data, experts, cpu)[1].experts == 1
    experts.path(2).unlink()
    with pytest.raises(FileError, match="no experts of these settings"):
        measured(data, experts, cpu)


def test_curves_go_through_json(data: PreparedData, experts: ExpertSet, cpu: Runtime) -> None:
    _, curves = measured(data, experts, cpu)
    assert validated(LearningCurves, json.loads(json.dumps(asdict(curves)))) == curves
    alone = replace(curves, held_out=None)
    assert validated(LearningCurves, json.loads(json.dumps({**asdict(alone), "newer": 1}))) == alone


@pytest.mark.parametrize(
    "wrong",
    [
        {"loss": "abc"},
        {"loss": [1.0]},
        {"accuracy": None},
        {"easy": [float("nan")] * 3},
        {"hard": [1.0, True, 2.0]},
        {"step": []},
        {"segments": []},
        {"segments": [1.0] * 9},
        {"images": 2.5},
        {"experts": 0},
        {"held_out": [1.0]},
    ],
)
def test_wrong_curves_are_refused(wrong: dict[str, Any]) -> None:
    three, two = (1.0, 2.0, 3.0), (1.0, 2.0)
    curves = LearningCurves(three, three, None, three, three, two, two, experts=1, images=9)
    assert validated(LearningCurves, asdict(curves)) == curves
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}|different lengths"):
        validated(LearningCurves, {**asdict(curves), **wrong})
    for facts in (None, [], {k: v for k, v in asdict(curves).items() if k not in wrong}):
        with pytest.raises(ValueError, match=r"JSON object|required"):
            validated(LearningCurves, facts)


def measure_on(ranks: Ranks, folder: Path) -> None:
    """What each rank finds with an expert each, and with one between them; and that both give up
    where one is asked to stop."""
    given = torch.load(folder / "data.pt", weights_only=False)
    experts = ExpertSet(Path(given["experts"]), linear().layout, EPOCHS)
    on = Runtime(torch.device("cpu"), ranks=ranks)

    def found(count: int, on: Runtime = on) -> LearningCurves:
        return finish(
            measure_learning_curves, settings(count), given["data"], experts, linear(), on
        )[1]

    facts = [asdict(found(3)), asdict(found(1))]
    (folder / f"{ranks.rank}.json").write_text(json.dumps(facts))
    with pytest.raises(Stopped):
        found(3, replace(on, stop=lambda: ranks.rank == 1))


def test_two_ranks_find_what_one_does(
    data: PreparedData, experts: ExpertSet, cpu: Runtime, tmp_path: Path
) -> None:
    torch.save({"data": data, "experts": str(experts.folder)}, tmp_path / "data.pt")
    assert on_ranks(2, measure_on, tmp_path) == [0, 0]
    expected = [
        finish(measure_learning_curves, settings(n), data, experts, linear(), cpu)[1]
        for n in (3, 1)
    ]
    for rank in range(2):
        facts = json.loads((tmp_path / f"{rank}.json").read_text())
        assert [validated(LearningCurves, each) for each in facts] == expected
