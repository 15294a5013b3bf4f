"""Which preset is taken for a dataset and a number of images, and what is said of it."""

from __future__ import annotations

import pytest

from datm_engine.data.datasets import Shape
from datm_engine.errors import ConfigError, Setting
from datm_engine.hints import fix_text
from datm_engine.settings import config, presets
from datm_engine.settings.choose_preset import choose_preset
from tests.settings.test_presets import built


def test_a_dataset_with_presets_gets_its_own() -> None:
    chosen = choose_preset("cifar100", 10, None, None)
    assert chosen.tables == presets.load("cifar100-ipc10")
    assert (chosen.source, chosen.notes) == ("preset cifar100-ipc10", ())


def test_without_a_number_of_images_it_is_the_familys_fewest() -> None:
    chosen = choose_preset("tinyimagenet", None, None, None)
    assert chosen.tables == presets.load("tinyimagenet-ipc1")
    assert [note.text for note in chosen.notes] == [
        "ipc = 1, the fewest images per class that tinyimagenet has a preset for"
    ]


def test_a_preset_can_be_a_family() -> None:
    chosen = choose_preset("cifar10", 10, "cifar10-small", None)
    assert chosen.tables == presets.load("cifar10-small-ipc10")


def test_a_preset_can_be_one_and_an_ipc_overrides_it() -> None:
    exact = choose_preset("cifar10", None, "cifar10-ipc50", None)
    assert exact.tables == presets.load("cifar10-ipc50")
    assert exact.notes == ()
    other = choose_preset("cifar10", 10, "cifar10-ipc50", None)
    expected = config.overlay(presets.load("cifar10-ipc50"), {"distill": {"ipc": 10}})
    assert other.tables == expected
    assert "its window may be too late" in other.notes[0].text


def test_a_preset_alone_brings_its_dataset() -> None:
    chosen = choose_preset(None, None, "cifar10-small-ipc1", None)
    assert chosen.tables["dataset"]["name"] == "cifar10"


@pytest.mark.parametrize(
    ("family", "ipc", "window", "nearest"),
    [
        ("cifar10", 5, (0, 8, 15, 1000), "cifar10-ipc10"),
        ("cifar10", 2, (0, 9, 9, 0), "cifar10-ipc1"),  # the nearest window is fixed: so is this
        ("cifar10", 25, (0, 16, 31, 2000), "cifar10-ipc50"),
        ("cifar10", 200, (24, 52, 52, 0), "cifar10-ipc500"),
        ("cifar10", 5000, (40, 60, 60, 0), "cifar10-ipc1000"),
        ("cifar100", 70, (25, 70, 70, 0), "cifar100-ipc50"),
        ("tinyimagenet", 5, (7, 41, 41, 0), "tinyimagenet-ipc10"),
    ],
)
def test_between_presets_the_window_is_interpolated_and_said(
    family: str, ipc: int, window: tuple[int, int, int, int], nearest: str
) -> None:
    chosen = choose_preset(family, ipc, None, None)
    distill = config.build(chosen.tables, chosen.source).distill
    lower, initial, final, expansion = window
    expected = {
        "ipc": ipc,
        "min_start_epoch": lower,
        "initial_max_start_epoch": initial,
        "max_start_epoch": final,
        "expansion_iterations": expansion,
    }
    assert distill.model_dump() == built(nearest).distill.model_dump() | expected
    said = " ".join(note.text for note in chosen.notes)
    assert nearest in said
    assert "earlier window" in said or "later window" in said


@pytest.mark.parametrize("family", list(presets.families()))
def test_whatever_the_number_of_images_the_settings_hold_together(family: str) -> None:
    for ipc in (*range(1, 120), 333, 750, 4000):
        chosen = choose_preset(family, ipc, None, None)
        assert config.build(chosen.tables, chosen.source).distill.ipc == ipc


@pytest.mark.parametrize(
    ("dataset", "shape", "family", "depth"),
    [
        ("svhn", Shape(10, 3, 32, 32), "cifar10", 3),
        ("mnist", Shape(10, 1, 28, 28), "cifar10", 3),
        ("fashionmnist", Shape(10, 1, 28, 28), "cifar10", 3),
        ("a/folder", Shape(20, 3, 64, 96), "cifar10", 4),
        ("a/folder", Shape(21, 3, 8, 8), "cifar100", 1),
        ("a/folder", Shape(150, 3, 4, 4), "cifar100", 1),
        ("arrays.safetensors", Shape(151, 3, 224, 224), "tinyimagenet", 5),
        ("a/folder", Shape(1000, 3, None, None), "tinyimagenet", 4),
    ],
)
def test_a_dataset_without_presets_gets_a_family_by_its_shape(
    dataset: str, shape: Shape, family: str, depth: int
) -> None:
    chosen = choose_preset(dataset, 10, None, shape)
    tables = chosen.tables
    settings = config.build(tables, chosen.source)
    assert chosen.source == f"preset {family}-ipc10"
    assert settings.dataset.name == dataset
    assert settings.network.depth == depth
    flipped = dataset not in ("mnist", "svhn")
    assert ("flip" in settings.dataset.augmentation) == flipped
    assert settings.distill == built(f"{family}-ipc10").distill
    assert f"{shape.classes} classes" in chosen.notes[0].text
    assert any("depth" in note.text for note in chosen.notes) == (
        depth != built(f"{family}-ipc10").network.depth
    )
    assert any("without flip" in note.text for note in chosen.notes) == (not flipped)


def test_the_presets_themselves_are_left_as_they_are() -> None:
    before = presets.load("cifar10-ipc10")
    choose_preset("mnist", 12, None, Shape(10, 1, 28, 28))
    assert presets.load("cifar10-ipc10") == before


@pytest.mark.parametrize(
    ("wrong", "near"),
    [("cifar10-smal", "cifar10-small"), ("cifar100-ipc11", "cifar100-ipc1"), ("digit", "digits")],
)
def test_an_unknown_preset_is_an_error_with_the_nearest_name(wrong: str, near: str) -> None:
    with pytest.raises(ConfigError, match=f"did you mean {near}") as error:
        choose_preset("cifar10", 1, wrong, None)
    assert error.value.fix == Setting("preset", near)


def test_what_resembles_no_preset_is_an_error_that_lists_the_families() -> None:
    with pytest.raises(ConfigError, match=r"cifar10, .*cifar10-small, .*cifar100, .*digits"):
        presets.load("../../etc/passwd")


@pytest.mark.parametrize(("dataset", "ipc"), [("cifar10", 0), ("a/folder", 1), (None, 1)], ids=str)
def test_nothing_to_choose_from_is_an_error(dataset: str | None, ipc: int) -> None:
    with pytest.raises(ConfigError) as error:
        choose_preset(dataset, ipc, None, None)
    assert fix_text(error.value.fix)
