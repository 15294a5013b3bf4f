"""Expert buffers become experts that compute what theirs did, and never mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import PreparedData
from datm_engine.errors import ConfigError, DatmError, FileError, Setting
from datm_engine.experts.imported import open_imported
from datm_engine.experts.train import train_experts
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import fix_text
from datm_engine.interop.expert_buffers import check_accuracy, import_buffers, lowest_plausible
from datm_engine.networks.weights import FlatNetwork, Layout
from datm_engine.networks.zoo import build
from datm_engine.runs.events import Noted
from datm_engine.settings.config import Config
from datm_engine.settings.image_size import Shape
from tests.conftest import finish
from tests.interop.conftest import CLASSES, official_buffer

SHAPE = Shape(CLASSES, 3, 8, 8)
Make = Callable[..., Config]


@pytest.fixture
def imports(
    tmp_path: Path, make_config: Make, finished: Callable[..., Any]
) -> Callable[..., tuple[ExpertSet, int]]:
    def run(*paths: Path, shape: Shape = SHAPE, **over: Any) -> tuple[ExpertSet, int]:
        config = make_config(**over)
        return finished(import_buffers, paths, "mtt", config, shape, tmp_path / "experts")[1]

    return run


def test_imported_weights_compute_what_theirs_did(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    theirs = official_buffer(tmp_path / "replay_buffer_0.pt")
    experts, count = imports(tmp_path / "replay_buffer_0.pt")
    assert (count, experts.epochs) == (2, 4)
    module = build("convnet", channels=3, size=(8, 8), classes=CLASSES, seed=9, width=4, depth=2)
    ours = FlatNetwork(module)
    images = torch.randn(5, 3, 8, 8, generator=torch.Generator().manual_seed(3))
    for expert, networks in enumerate(theirs):
        for epoch, network in enumerate(networks):
            theta = experts.snapshot(expert, epoch)
            assert torch.equal(ours(theta, images), network(images)), (expert, epoch)


def test_buffers_are_mapped_and_never_run_code(
    tmp_path: Path,
    imports: Callable[..., tuple[ExpertSet, int]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    load, asked = torch.load, []

    def watched(*args: Any, **options: Any) -> Any:
        asked.append((options["mmap"], options["weights_only"]))
        return load(*args, **options)

    monkeypatch.setattr(torch, "load", watched)
    imports(tmp_path / "replay_buffer_0.pt")
    assert asked
    assert set(asked) == {(True, True)}


def test_files_are_joined_in_their_order(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    theirs = official_buffer(tmp_path / "replay_buffer_0.pt", experts=1)
    official_buffer(tmp_path / "replay_buffer_1.pt", experts=2, seed=1)
    both, count = imports(tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt")
    assert count == 3
    first = torch.cat([p.reshape(-1) for p in theirs[0][4].parameters()])
    assert torch.equal(both.snapshot(0, 4), first)


def test_sets_never_mix(tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]) -> None:
    one, two = tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt"
    official_buffer(one)
    official_buffer(two, experts=1, seed=1)
    folders = [
        imports(one)[0].folder,
        imports(two)[0].folder,
        imports(one, two)[0].folder,
        imports(one, dataset={"preprocessing": "zca"})[0].folder,
        imports(one, dataset={"name": "svhn"})[0].folder,
    ]
    assert len(set(folders)) == len(folders)
    assert imports(one)[0].folder == folders[0]


@pytest.mark.parametrize(
    ("made", "hint"),
    [
        ({"width": 8}, "--set network.width=8"),
        ({"depth": 1}, "--set network.depth=1"),
    ],
)
def test_another_network_is_reported_with_the_setting_that_fits(
    made: dict[str, int],
    hint: str,
    tmp_path: Path,
    imports: Callable[..., tuple[ExpertSet, int]],
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path, **made)
    with pytest.raises(ConfigError) as refused:
        imports(path)
    assert fix_text(refused.value.fix) == hint
    assert not (tmp_path / "experts").exists(), "nothing is left behind"
    with pytest.raises(ConfigError) as other:
        imports(path, network={"norm": "none", **made})
    assert other.value.fix == Setting("network.norm", "instance")


def test_what_would_be_another_function_is_refused(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path)
    with pytest.raises(ConfigError, match="pads its first convolution by 3"):
        imports(path, shape=replace(SHAPE, channels=1))
    with pytest.raises(ConfigError, match="4 groups"):
        imports(path, network={"norm": "group"})


@pytest.mark.parametrize(
    "content",
    [{}, [], [torch.zeros(3)], [[[torch.zeros(3)]]], [[[1, 2], [3, 4]]]],
)
def test_what_is_no_buffer_is_reported(
    content: object, tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    torch.save(content, path)
    with pytest.raises(DatmError, match=r"replay_buffer_0\.pt"):
        imports(path)


def test_experts_of_unequal_length_are_reported(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    official_buffer(tmp_path / "replay_buffer_1.pt", epochs=3)
    with pytest.raises(FileError, match="has 3 epochs and the first one 4"):
        imports(tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt")


def rewrite(path: Path, change: Callable[[list[Any]], object]) -> None:
    """The buffer at `path`, changed: a list of experts, each a list of epochs of tensors."""
    buffer = torch.load(path, weights_only=True)
    change(buffer)
    torch.save(buffer, path)


def alias(buffer: list[Any]) -> None:
    """As the published code writes it on a CPU: every snapshot is the same memory."""
    for expert in buffer:
        expert[:] = [expert[-1]] * len(expert)


def stay(buffer: list[Any]) -> None:
    buffer[1][3] = [tensor.clone() for tensor in buffer[1][2]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (alias, "expert 0 does not move: all 5 snapshots are the same"),
        (stay, "expert 1 does not move: the snapshot of epoch 3 is the same as that of epoch 2"),
    ],
)
def test_experts_that_do_not_move_are_refused(
    change: Callable[[list[Any]], object],
    expected: str,
    tmp_path: Path,
    imports: Callable[..., tuple[ExpertSet, int]],
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path)
    rewrite(path, change)
    with pytest.raises(FileError, match=expected) as refused:
        imports(path)
    assert "keeps references to the weights" in refused.value.message
    assert fix_text(refused.value.fix) == "datm experts --dataset digits"
    assert not list(tmp_path.glob("experts/*/experts.json")), "no set is left that a run could use"


def test_a_run_refuses_a_set_imported_before_that_does_not_move(
    tmp_path: Path, make_config: Make, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    experts, _ = imports(tmp_path / "replay_buffer_0.pt")
    experts.save(1, experts.snapshot(1, 4).expand(5, -1), {})
    config = make_config(experts={"imported": experts.folder.name})
    with pytest.raises(FileError, match=r"expert-0001\.safetensors does not move") as refused:
        open_imported(config, "digits", CLASSES, experts.layout, experts.folder.parent)
    assert refused.value.fix == Setting("experts.imported", "none")


def test_that_they_do_not_move_is_reported_before_their_shapes(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    still = [torch.rand(8, 3, 3, 3), torch.rand(8)]
    torch.save([[[*still]] * 6], tmp_path / "replay_buffer_0.pt")
    with pytest.raises(FileError, match="all 6 snapshots are the same"):
        imports(tmp_path / "replay_buffer_0.pt")


def test_one_tensor_that_stays_is_no_fault(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path)
    rewrite(path, lambda buffer: buffer[0][2].__setitem__(0, buffer[0][1][0]))
    assert imports(path)[1] == 2


def test_weights_that_are_not_finite_are_refused(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path)
    rewrite(path, lambda buffer: buffer[1][2][0].fill_(torch.inf))
    with pytest.raises(FileError, match="expert 1 holds weights that are not finite"):
        imports(path)


def test_experts_that_are_the_same_are_refused(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    first, second = tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt"
    official_buffer(first)
    rewrite(first, lambda buffer: buffer.__setitem__(1, buffer[0]))
    with pytest.raises(FileError, match=r"_0.pt: expert 1 is the same as .*_0.pt: expert 0"):
        imports(first)
    official_buffer(first)
    second.write_bytes(first.read_bytes())
    with pytest.raises(ConfigError, match=r"_1.pt has the same content as .*_0.pt"):
        imports(first, second)


def test_files_of_one_name_in_two_folders_are_another_set_than_one_of_them(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    paths = [tmp_path / name / "replay_buffer_0.pt" for name in ("a", "b")]
    for number, path in enumerate(paths):
        path.parent.mkdir()
        official_buffer(path, seed=number)
    assert imports(*paths)[0].folder != imports(paths[1])[0].folder


@pytest.mark.parametrize(("classes", "percent"), [(2, 75), (3, 200 / 3), (10, 20), (100, 2)])
def test_the_lowest_plausible_accuracy_is_twice_chance(classes: int, percent: float) -> None:
    assert lowest_plausible(classes) == pytest.approx(percent)


def test_experts_at_chance_are_noted_and_those_that_learned_are_not(
    make_config: Make, digits: PreparedData, cpu: Runtime, data_dir: Path, tmp_path: Path
) -> None:
    def checked(epoch: int) -> tuple[list[str], float]:
        """With the snapshot of that epoch as the last one."""
        folder = tmp_path / f"ends-at-{epoch}"
        folder.mkdir()
        made = ExpertSet(folder, trained.layout, 1)
        made.save(0, torch.stack([trained.snapshot(0, e) for e in (1, epoch)]), {})
        events, accuracy = finish(check_accuracy, made, make_config(), data_dir, cpu)
        return [event.text for event in events if isinstance(event, Noted)], accuracy

    config = make_config(experts={"count": 1, "epochs": 20, "lr": 0.1})
    _, trained = finish(train_experts, config, digits, tmp_path / "experts", cpu)
    notes, accuracy = checked(20)
    assert accuracy > 40
    assert not notes
    notes, accuracy = checked(0)
    assert accuracy < 20
    assert "another order of classes or another whitening" in notes[0]


def test_a_dataset_that_cannot_be_loaded_leaves_the_accuracy_unchecked(
    make_config: Make, cpu: Runtime, tmp_path: Path
) -> None:
    experts = ExpertSet(tmp_path, Layout(("weight",), ((5,),)), 1)
    gone = make_config(dataset={"name": str(tmp_path / "gone")})
    events, accuracy = finish(check_accuracy, experts, gone, tmp_path, cpu)
    assert accuracy is None
    assert events[-1].text.startswith("the experts' accuracy is not checked: ")


@pytest.mark.parametrize(
    ("over", "expected", "hint"),
    [
        ({"experts": {"count": 3}}, "has 2 experts, not 3", "--set experts.count=2"),
        ({"dataset": {"preprocessing": "zca"}}, "preprocessing", "--set experts.imported=none"),
        ({"network": {"norm": "none"}}, "network", "--set experts.imported=none"),
        ({"dataset": {"name": "svhn"}}, "digits", "--set experts.imported=none"),
        (
            {"distill": {"max_start_epoch": 9}, "experts": {"epochs": 20}},
            "has 4 epochs, and the window needs 9",
            "--set distill.max_start_epoch=4",
        ),
    ],
)
def test_a_run_of_something_else_does_not_take_them(
    over: dict[str, Any],
    expected: str,
    hint: str,
    tmp_path: Path,
    make_config: Make,
    imports: Callable[..., tuple[ExpertSet, int]],
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    experts, _ = imports(tmp_path / "replay_buffer_0.pt")
    named = {"imported": experts.folder.name}

    def opened(over: dict[str, Any]) -> ExpertSet:
        config = make_config(**{**over, "experts": {**over.get("experts", {}), **named}})
        return open_imported(config, "digits", CLASSES, experts.layout, experts.folder.parent)

    assert opened({}) == experts
    with pytest.raises(ConfigError, match=expected) as refused:
        opened(over)
    assert fix_text(refused.value.fix) == hint


def test_an_import_that_was_cut_off_is_no_set(
    tmp_path: Path, make_config: Make, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    experts, _ = imports(tmp_path / "replay_buffer_0.pt")
    config = make_config(experts={"imported": experts.folder.name})
    (experts.folder / "experts.json").unlink()
    with pytest.raises(ConfigError, match="no set was imported"):
        open_imported(config, "digits", CLASSES, experts.layout, experts.folder.parent)
