"""Which settings wait for the experts, and that a preset, a file or a flag always wins."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from datm_cli.resolve import GivenSettings
from datm_engine.data.description import describe
from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.directory import Run
from datm_engine.settings import presets
from datm_engine.settings.choose_preset import choose_preset, with_method
from datm_engine.settings.config import DatasetConfig
from datm_engine.settings.derived.values import DERIVABLE, WINDOW
from datm_engine.settings.resolved import Resolved
from tests.cli.conftest import Answer, assert_two_lines, image_folder

Datm = Callable[..., Answer]


def settled(*assignments: str, **given: Any) -> Resolved:
    asked = {"dataset": "digits", "ipc": 3, "data_dir": Path("nowhere"), "device": "cuda"} | given
    reason = asked.pop("no_calibration", None)
    return GivenSettings(**asked, assignments=assignments).resolve(reason)


def without(*keys: str) -> tuple[str, ...]:
    return tuple(key for key in DERIVABLE if key not in keys)


def test_without_a_preset_the_experts_decide() -> None:
    result = settled()
    assert result.derive == DERIVABLE
    assert result.config.experts.epochs == 30, "of a length to derive by"
    assert "experts.epochs = 30" in " ".join(result.messages())
    assert "until the experts are trained" in result.messages()[-1]


@pytest.mark.parametrize(
    "given",
    [{"ipc": 1}, {"preset": "digits"}, {"preset": "digits-ipc10"}, {"preset": "cifar10-small"}],
)
def test_a_preset_always_wins(given: dict[str, Any]) -> None:
    result = settled(**given)
    assert result.derive == ()
    assert "experts are trained" not in " ".join(result.messages())


def test_a_flag_always_wins(tmp_path: Path) -> None:
    assert settled("distill.syn_steps=7", "distill.lr_images=3").derive == without(
        "syn_steps", "lr_images"
    )
    result = settled(flags={"distill": {"iterations": 50}}, window="late")
    assert result.derive == without(*WINDOW)
    method = with_method(choose_preset("digits", 3, None, None), "mtt")
    assert set(settled(method="mtt").derive) == set(method.derive) - {"lr_labels"}
    assert not {"min_start_epoch", "expansion_iterations"} & set(method.derive)
    mine = tmp_path / "mine.toml"
    mine.write_text("[distill]\nthreshold = 2.0\n")
    assert settled(config_file=mine).derive == without("threshold")
    whole = tmp_path / "run.json"
    whole.write_text(json.dumps({"config": settled().config.model_dump()}))
    assert settled(config_file=whole).derive == (), "it states every key"


@pytest.mark.parametrize("epochs", [3, 12, 40])
def test_what_holds_until_then_is_within_the_experts_epochs(epochs: int) -> None:
    result = settled(f"experts.epochs={epochs}", dataset="cifar10", ipc=200)
    assert result.config.epochs_needed <= epochs
    assert result.derive == DERIVABLE


def test_experts_have_one_length_whatever_window_is_derived_from_them() -> None:
    result = settled("experts.epochs=window")
    assert result.config.experts.epochs == result.config.epochs_needed
    assert result.derive == DERIVABLE


def test_where_nothing_is_derived_experts_are_as_long_as_windows_are() -> None:
    result = settled(no_calibration="for a reason")
    assert result.derive == ()
    assert result.config.experts.epochs == "window"
    assert result.messages()[-1] == "for a reason"
    assert "derive" not in " ".join(result.messages())


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Two classes of 60 training images each, 16×16 and in colour."""
    draws = np.random.default_rng(0)
    for part, count in (("train", 60), ("test", 6)):
        for shade, name in ((40, "dark"), (200, "light")):
            folder = tmp_path / "photos" / part / name
            folder.mkdir(parents=True)
            for k in range(count):
                pixels = np.clip(draws.normal(shade, 40, (16, 16, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{k}.png")
    return tmp_path / "photos"


def test_a_folder_gets_experts_for_its_images(photos: Path) -> None:
    result = settled("dataset.validation=0.2", dataset=str(photos), ipc=2)
    experts = result.config.experts
    assert (experts.batch, experts.lr, experts.count) == (4, 0.05, 100)
    assert "experts.batch = 4: 24 steps an epoch with 96 training images" in " ".join(
        result.messages()
    )
    fewer = settled("experts.batch=8", dataset=str(photos), flags={"distill": {"iterations": 50}})
    assert (fewer.config.experts.batch, fewer.config.experts.count) == (8, 8)


@pytest.mark.parametrize(
    "wrong",
    [
        "dataset.train_images=0",
        "dataset.train_images=-5",
        "dataset.validation=1.5",
        "dataset.validation=x",
        "experts.epochs=x",
        "experts.epochs=0",
        "experts.batch=0",
        "distill.expert_epochs=x",
        "distill.expert_epochs=0",
        "distill.iterations=0",
        "distill.iterations=x",
        "distill.labels=x",
    ],
)
@pytest.mark.parametrize("dataset", ["digits", "photos"])
def test_what_is_refused_is_refused_before_anything_is_derived_by_it(
    datm: Datm, photos: Path, dataset: str, wrong: str
) -> None:
    place = photos if dataset == "photos" else dataset
    answer = datm("distill", "--dataset", place, "--ipc", 3, "--set", wrong, "--no-tui")
    assert_two_lines(answer, 2, wrong.partition("=")[0], "datm")
    assert not Path("runs").exists()


def test_the_whole_road_on_a_folder(datm: Datm, photos: Path) -> None:
    torch.set_num_threads(1)
    options = ["network.width=4", "experts.epochs=6", "experts.count=2", "evaluate.repeats=1"]
    options += ["evaluate.epochs=3", "evaluate.full_epochs=1", "evaluate.full_repeats=1"]
    options += ["dataset.validation=0.2", "evaluate.selection_interval=2"]
    sets = [word for option in options for word in ("--set", option)]
    answer = datm("distill", "--dataset", photos, "--ipc", 2, "--iterations", 3, *sets, "--no-tui")
    assert answer.code == 0
    said = " ".join(answer.err.split())
    run = Run.open(Path("runs"), "photos-ipc2")
    derived = run.manifest().derived
    assert set(derived) == {f"distill.{key}" for key in DERIVABLE}
    for key, one in derived.items():
        assert f"{key} = {one.value:g}: {one.reason}" in said
    assert "experts train " not in said, "what the window needs was not known then"
    again = datm("distill", "--config", run.path / "run.json", "--name", "again", "--no-tui")
    assert again.code == 0
    assert not Run.open(Path("runs"), "again").manifest().derived, "they are stated now"
    assert (run.path / "distilled.safetensors").read_bytes() == (
        run.path.parent / "again" / "distilled.safetensors"
    ).read_bytes()


def test_a_run_of_experts_as_long_as_the_window_goes_on(datm: Datm) -> None:
    """They were trained for the window that held before they were there."""
    options = ["experts.epochs=window", "experts.count=2", "evaluate.repeats=1", "network.width=4"]
    options += ["evaluate.epochs=3", "evaluate.full_epochs=1", "evaluate.full_repeats=1"]
    sets = [word for option in options for word in ("--set", option)]
    asked = ["--dataset", "digits", "--ipc", 3, "--iterations", 2, *sets, "--no-tui"]
    assert datm("distill", *asked, "--name", "short").code == 0
    longer = datm("distill", "--resume", "short", "--iterations", 3, "--no-tui")
    assert longer.code == 0, longer.err
    assert len([*Path("experts").iterdir()]) == 1


def test_selection_on_held_out_images_needs_a_share_or_a_validation_part(tmp_path: Path) -> None:
    photos = image_folder(tmp_path / "photos")
    stated = ("dataset.validation=0", "evaluate.selection=validation")
    for name in ("digits", str(photos)):
        with pytest.raises(ConfigError, match=r"needs dataset\.validation above 0") as error:
            settled(*stated, dataset=name)
        assert error.value.fix == Setting("evaluate.selection", "last")
    (photos / "val").mkdir()
    for folder in (photos / "test").iterdir():
        shutil.copytree(folder, photos / "val" / folder.name)
    assert settled(*stated, dataset=str(photos)).config.evaluate.selection == "validation"


def test_the_images_that_experts_see_are_counted_as_they_will_be(tmp_path: Path) -> None:
    """120 in all: without a held-out test share, and without a validation share where there is no
    validation part."""
    photos = image_folder(tmp_path / "photos", train=40)
    stated = presets.load("digits-ipc1")["dataset"] | {"validation": 0.1, "test": 0.5}

    def counted(**over: Any) -> int | None:
        settings = DatasetConfig.model_validate({**stated, "name": str(photos), **over})
        return describe(str(photos), tmp_path).training_images(settings)

    assert counted() == 108
    shutil.copytree(photos / "test", photos / "val")
    assert counted() == 120
    shutil.rmtree(photos / "val")
    shutil.rmtree(photos / "test")
    assert counted() == 54
    assert counted(train_images=30) == 27
