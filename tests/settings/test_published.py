"""The published figures are those of the presets' headings, and stand only where they belong."""

from __future__ import annotations

import re

import pytest

from datm_engine.settings import presets
from datm_engine.settings.choose_preset import choose_preset, with_method
from datm_engine.settings.config import build
from datm_engine.settings.published import departures, known_as, published, source


@pytest.mark.parametrize("dataset", ["cifar10", "cifar100", "tinyimagenet"])
def test_datm_has_the_figure_that_its_preset_states(dataset: str) -> None:
    for ipc, name in presets.families()[dataset].items():
        heading = (presets.folder() / f"{name}.toml").read_text(encoding="utf-8")
        stated = re.search(r"# published: ([\d.]+) ± ([\d.]+) %.*full data ([\d.]+)", heading)
        assert stated is not None, name
        mean, std, full = map(float, stated.groups())
        ours = published(dataset, ipc, "datm", "convnet")
        assert ours is not None
        assert (ours.mean, ours.std) == (mean, std)
        whole = published(dataset, ipc, "full", "convnet")
        assert whole is not None
        assert whole.mean == full


def test_other_methods_networks_and_selections_have_theirs() -> None:
    for place, mean in {
        ("cifar10", 1, "mtt", "convnet"): 46.2,
        ("cifar10", 50, "ftd", "convnet"): 73.2,
        ("cifar100", 10, "tesla", "convnet"): 41.7,
        ("cifar10", 1000, "forgetting", "resnet18"): 85.7,
        ("tinyimagenet", 50, "datm", "alexnet"): 35.1,
        ("cifar10", 500, "random", "convnet"): 73.2,
    }.items():
        found = published(*place)
        assert found is not None, place
        assert (found.mean, found.std) == (mean, None)


@pytest.mark.parametrize(
    "place",
    [
        ("digits", 1, "datm", "convnet"),
        ("cifar10", 2, "datm", "convnet"),
        ("cifar10", 500, "mtt", "convnet"),
        ("cifar10", 1, "datm", "resnet18"),
        ("cifar10", 1, "early", "convnet"),
        ("/somewhere/c10", 1, "datm", "convnet"),
        ("/cifar10/photos", 1, "datm", "convnet"),
    ],
)
def test_elsewhere_there_is_none(place: tuple[str, int, str, str]) -> None:
    assert published(*place) is None


@pytest.mark.parametrize(
    "dataset", ["cifar10", "/data/CIFAR-10", "hf:someone/cifar10", "arrays/cifar10.safetensors"]
)
def test_images_are_known_by_the_name_of_where_they_are(dataset: str) -> None:
    assert known_as(dataset) == "cifar10"
    assert published(dataset, 1, "datm", "convnet") == published("cifar10", 1, "datm", "convnet")
    tables = presets.load("cifar10-ipc10")
    tables["dataset"]["name"] = dataset
    tables["network"]["width"] = 32
    assert departures(build(tables, "a change")) == ["network.width 32, not 128"]


def test_what_departs_from_the_published_settings_is_named() -> None:
    tables = presets.load("cifar10-ipc10")
    assert departures(build(tables, "the preset")) == []
    tables["network"]["width"] = 32
    tables["distill"]["iterations"] = 100
    assert departures(build(tables, "a change")) == [
        "network.width 32, not 128",
        "distill.iterations 100, not 10000",
    ]
    assert departures(build(presets.load("digits-ipc1"), "no published settings")) == []


def test_every_setting_counts_but_names_seeds_and_what_stands_beside() -> None:
    tables = presets.load("cifar10-ipc10")
    for table, key, value in (
        *(("distill", "syn_steps", 2), ("experts", "optimizer", "sgd"), ("evaluate", "repeats", 1)),
        *(("distill", "seed", 7), ("evaluate", "against", ["full"])),
    ):
        tables[table][key] = value
    assert {line.partition(" ")[0] for line in departures(build(tables, "a change"))} == {
        *("distill.syn_steps", "experts.optimizer", "evaluate.repeats")
    }


def test_a_method_is_compared_with_its_own_published_settings() -> None:
    own = build(presets.load("cifar10-mtt-ipc1"), "its preset")
    assert departures(own, "mtt") == []
    assert departures(own, "datm")
    laid_over = with_method(choose_preset("cifar10", 1, None, None), "mtt")
    assert departures(build(laid_over.tables, "DATM's, by method"), "mtt")
    none_published = with_method(choose_preset("cifar10", 50, None, None), "ftd")
    assert departures(build(none_published.tables, "DATM's, by method"), "ftd") == [
        "as DATM's and not ftd's own, which no preset has"
    ]


def test_a_window_is_compared_but_for_the_window() -> None:
    tables = presets.load("cifar10-ipc10")
    tables["distill"] |= {"min_start_epoch": 2, "max_start_epoch": 30, "syn_steps": 3}
    assert departures(build(tables, "late"), "late") == ["distill.syn_steps 3, not 80"]


def test_the_figures_are_no_preset_and_have_a_source() -> None:
    assert "published" not in presets.names()
    assert "ICLR 2024" in source()
