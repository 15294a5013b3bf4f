"""What experts choose: from which snapshots, in how many passes, and the same each time."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.data.image_sets import ImageSet
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import FileError, Stopped
from datm_engine.evaluation.baselines import (
    BY_EXPERTS,
    ExpertBaselines,
    features,
    forgetting,
    herding,
    k_center,
)
from datm_engine.experts.curriculum import el2n
from datm_engine.experts.train import expert_network, open_experts, train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import fix_text
from datm_engine.networks.weights import FlatNetwork
from datm_engine.runs.events import Noted, SelectionProgress
from datm_engine.settings.config import Config
from datm_engine.settings.expert_measurements import passes

Make = Callable[..., Config]
Finished = Callable[..., tuple[list[Any], Any]]
Choosing = tuple[FlatNetwork, ExpertSet, PreparedData]


@pytest.fixture
def choosing(
    make_config: Make, digits: PreparedData, cpu: Runtime, tmp_path: Path, finished: Finished
) -> Choosing:
    config = make_config()
    network = expert_network(config, digits, 0, cpu)
    _, experts = finished(train_experts, config, digits, tmp_path, cpu)
    return network, experts, digits


def selector(choosing: Choosing, ipc: int = 2, **over: Any) -> ExpertBaselines:
    network, experts, data = choosing
    return ExpertBaselines(network, experts, 2, data.train, data.classes, ipc, **over)


def same(one: ImageSet, other: ImageSet) -> bool:
    return one.images.equal(other.images) and one.labels.equal(other.labels)


@pytest.mark.parametrize("name", BY_EXPERTS)
def test_each_class_gives_ipc_images_and_the_same_each_time(
    name: str, choosing: Choosing, cpu: Runtime, finished: Finished
) -> None:
    chooser = selector(choosing)
    seen, part = finished(chooser.choose, name, cpu.check_stop)
    assert part.labels.tolist() == torch.arange(10).repeat_interleave(2).tolist()
    rows = {tuple(image.flatten().tolist()) for image in choosing[2].train.images}
    assert {tuple(image.flatten().tolist()) for image in part.images} <= rows
    assert len(part.images.flatten(1).unique(dim=0)) == 20, "no image twice"
    assert isinstance(seen[0], Noted)
    assert finished(chooser.choose, name, cpu.check_stop) == ([], part), "chosen once"
    _, again = finished(selector(choosing).choose, name, cpu.check_stop)
    assert same(part, again)


def test_features_are_what_the_classifier_sees(choosing: Choosing) -> None:
    network, experts, data = choosing
    theta, images = experts.snapshot(1, 4), data.train.images
    found = features(network, theta, images)
    weights = network.layout.unflatten(theta)
    logits = found @ weights["classifier.weight"].T + weights["classifier.bias"]
    assert torch.allclose(logits, network.predict(theta, images), atol=1e-5)


@pytest.mark.parametrize(("name", "choice"), [("herding", herding), ("kcenter", k_center)])
def test_features_are_those_of_the_first_experts_last_snapshot(
    name: str, choice: Any, choosing: Choosing, cpu: Runtime, finished: Finished
) -> None:
    network, experts, data = choosing
    _, part = finished(selector(choosing).choose, name, cpu.check_stop)
    own = data.train.images[data.train.labels == 7]
    expected = own[choice(features(network, experts.snapshot(0, 4), own), 2)]
    assert part.images[14:16].equal(expected)


def scores_by_definition(choosing: Choosing) -> dict[str, Tensor]:
    network, experts, data = choosing
    images, labels = data.train.images, data.train.labels
    forgotten, errors = [], []
    for expert in range(2):
        logits = [network.predict(experts.snapshot(expert, t), images) for t in range(1, 5)]
        forgotten.append(forgetting(torch.stack([each.argmax(1) == labels for each in logits])))
        errors.append(el2n(logits[0], labels))
    return {name: (a + b) / 2 for name, (a, b) in (("forgetting", forgotten), ("el2n", errors))}


@pytest.mark.parametrize("name", ["forgetting", "el2n"])
def test_scores_are_means_over_the_experts(
    name: str, choosing: Choosing, cpu: Runtime, finished: Finished
) -> None:
    data, scores = choosing[2], scores_by_definition(choosing)[name]
    for names in ([name], ["forgetting", "el2n"]):
        _, part = finished(selector(choosing, names=names).choose, name, cpu.check_stop)
        own = (data.train.labels == 3).nonzero().flatten()
        hardest = own[scores[own].argsort(descending=True, stable=True)[:2]]
        assert part.images[6:8].equal(data.train.images[hardest])


def test_a_pass_for_each_snapshot_and_one_serves_both(
    choosing: Choosing, cpu: Runtime, finished: Finished
) -> None:
    def choose(chooser: ExpertBaselines, name: str) -> list[int]:
        seen, _ = finished(chooser.choose, name, cpu.check_stop)
        found = [event for event in seen if isinstance(event, SelectionProgress)]
        assert [event.done for event in found] == list(range(len(found)))
        return [event.total for event in found]

    assert choose(selector(choosing), "herding") == [1]
    assert choose(selector(choosing, names=["el2n"]), "el2n") == [2] * 2
    both = selector(choosing, names=["forgetting", "el2n"])
    assert choose(both, "el2n") == [8] * 8
    assert choose(both, "forgetting") == []
    assert passes(["random", "herding", "el2n", "full"], 2, 4) == 1 + 2
    assert passes(["kcenter", "herding", "forgetting", "el2n"], 100, 30) == 2 + 5 * 30
    assert passes(["random", "full"], 100, 30) == 0


def test_classes_with_fewer_images_give_what_they_have(
    choosing: Choosing, cpu: Runtime, finished: Finished
) -> None:
    network, experts, data = choosing
    kept = torch.tensor(
        [i for i, c in enumerate(data.train.labels.tolist()) if c > 1 or i % 4 == 0]
    )
    few = ImageSet(data.train.images[kept], data.train.labels[kept])
    counts = few.labels.bincount(minlength=10)
    wanted = int(counts.max())
    for name in BY_EXPERTS:
        chooser = ExpertBaselines(network, experts, 2, few, 10, wanted)
        _, part = finished(chooser.choose, name, cpu.check_stop)
        assert part.labels.bincount(minlength=10).equal(counts), name


def test_it_ends_early_when_asked_to(choosing: Choosing) -> None:
    chooser, seen = selector(choosing), list[Any]()

    def stop() -> None:
        if len([event for event in seen if isinstance(event, SelectionProgress)]) == 2:
            raise Stopped

    with pytest.raises(Stopped):
        chooser.choose("forgetting", stop, emit=seen.append)
    assert not chooser.chosen
    assert len([event for event in seen if isinstance(event, SelectionProgress)]) == 2


def test_experts_are_opened_as_they_are_and_never_trained(
    make_config: Make, choosing: Choosing, tmp_path: Path
) -> None:
    network, experts, data = choosing
    config = make_config()
    found = open_experts(config, data, network.layout, tmp_path, "float32", "datm experts")
    assert found.folder == experts.folder
    before = sorted(tmp_path.rglob("*"))
    other = make_config(experts={"lr": 0.3})
    with pytest.raises(FileError, match="no experts of these settings") as refused:
        open_experts(other, data, network.layout, tmp_path, "float32", "datm experts --x")
    assert fix_text(refused.value.fix) == "datm experts --x"
    with pytest.raises(FileError):
        open_experts(config, data, network.layout, tmp_path, "bfloat16", "datm experts")
    assert sorted(tmp_path.rglob("*")) == before
