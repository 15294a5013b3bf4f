"""Expert buffers become experts that compute what theirs did, and never mix."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.config import Config
from datm_engine.data.arrays import Shape
from datm_engine.errors import ConfigError, DatmError, FileError
from datm_engine.experts.imported import open_imported
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.formats.buffers import import_buffers
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from tests.formats.conftest import CLASSES, official_buffer

SHAPE = Shape(CLASSES, 3, 8, 8)
Make = Callable[..., Config]


@pytest.fixture
def imports(
    tmp_path: Path, make_config: Make, finished: Callable[..., Any]
) -> Callable[..., tuple[ExpertSet, int]]:
    def run(*paths: Path, shape: Shape = SHAPE, **over: Any) -> tuple[ExpertSet, int]:
        config = make_config(**over)
        stage = import_buffers(paths, "mtt", config, shape, tmp_path / "experts")
        made: tuple[ExpertSet, int] = finished(stage)[1]
        return made

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
    official_buffer(tmp_path / "replay_buffer_1.pt", experts=2)
    both, count = imports(tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt")
    assert count == 3
    first = torch.cat([p.reshape(-1) for p in theirs[0][4].parameters()])
    assert torch.equal(both.snapshot(0, 4), first)


def test_sets_never_mix(tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]) -> None:
    one, two = tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt"
    official_buffer(one)
    official_buffer(two, experts=1)
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
def test_another_network_is_told_with_the_setting_that_fits(
    made: dict[str, int],
    hint: str,
    tmp_path: Path,
    imports: Callable[..., tuple[ExpertSet, int]],
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    official_buffer(path, **made)
    with pytest.raises(ConfigError) as refused:
        imports(path)
    assert refused.value.hint == hint
    assert not (tmp_path / "experts").exists(), "nothing is left behind"
    with pytest.raises(ConfigError) as other:
        imports(path, network={"norm": "none", **made})
    assert other.value.hint == "--set network.norm=instance"


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
def test_what_is_no_buffer_is_told(
    content: object, tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    path = tmp_path / "replay_buffer_0.pt"
    torch.save(content, path)
    with pytest.raises(DatmError, match=r"replay_buffer_0\.pt"):
        imports(path)


def test_experts_of_unequal_length_are_told(
    tmp_path: Path, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    official_buffer(tmp_path / "replay_buffer_1.pt", epochs=3)
    with pytest.raises(FileError, match="has 3 epochs and the first one 4"):
        imports(tmp_path / "replay_buffer_0.pt", tmp_path / "replay_buffer_1.pt")


@pytest.mark.parametrize(
    ("over", "told", "hint"),
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
    told: str,
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
    with pytest.raises(ConfigError, match=told) as refused:
        opened(over)
    assert refused.value.hint == hint


def test_an_import_that_was_cut_off_is_no_set(
    tmp_path: Path, make_config: Make, imports: Callable[..., tuple[ExpertSet, int]]
) -> None:
    official_buffer(tmp_path / "replay_buffer_0.pt")
    experts, _ = imports(tmp_path / "replay_buffer_0.pt")
    config = make_config(experts={"imported": experts.folder.name})
    (experts.folder / "experts.json").unlink()
    with pytest.raises(ConfigError, match="no set was imported"):
        open_imported(config, "digits", CLASSES, experts.layout, experts.folder.parent)
