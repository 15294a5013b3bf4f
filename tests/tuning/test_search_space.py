"""Where a tune looks: its centre is in it, and nowhere is a setting that cannot be."""

from __future__ import annotations

import random
from typing import Any

import pytest

from datm_engine.errors import ConfigError
from datm_engine.settings import presets
from datm_engine.settings.config import Config, build, differences
from datm_engine.tuning.search_space import KEYS, WINDOW, Choice, Point, SearchSpace, changes
from tests.conftest import tiny_config


def preset(name: str) -> Config:
    return build(presets.load(name), name)


def anywhere(space: SearchSpace, seed: int) -> Point:
    draws = random.Random(seed)
    return {
        name: draws.choice(d.values)
        if isinstance(d, Choice)
        else d.low * (d.high / d.low) ** draws.random()
        if d.log
        else draws.uniform(d.low, d.high)
        for name, d in space.dimensions.items()
    }


def test_every_presets_own_settings_are_a_place_in_its_space() -> None:
    for name in presets.names():
        space = SearchSpace(preset(name))
        assert space.config(space.centre_point) == preset(name), name
        for dimension, place in space.centre_point.items():
            d = space.dimensions[dimension]
            inside = place in d.values if isinstance(d, Choice) else d.low <= place <= d.high
            assert inside, (name, dimension)


@pytest.mark.parametrize("name", ["digits-ipc10", "cifar10-ipc1", "cifar100-ipc50"])
def test_experts_are_shared_and_windows_end_with_them(name: str) -> None:
    centre = preset(name)
    space, ends = SearchSpace(centre), set()
    for seed in range(100):
        config = space.config(anywhere(space, seed))  # which checks that the window is one
        assert config.snapshot_epochs >= config.epochs_needed
        assert config.model_dump(exclude={"distill"}) == centre.model_dump(exclude={"distill"})
        moved = set(differences(centre, config))
        assert moved <= {key for keys in KEYS.values() for key in keys}
        ends.add(config.distill.max_start_epoch)
    assert len(ends) > 3


def test_a_window_can_end_later_where_the_experts_go_on() -> None:
    space = SearchSpace(tiny_config(experts={"epochs": 12}))
    wide = space.config({**space.centre_point, "end": 2.5})
    assert wide.distill.max_start_epoch == 8  # 3 × 2.5, rounded to the even
    tight = SearchSpace(tiny_config(experts={"epochs": 3}))
    assert "end" in tight.dimensions
    assert max(tight.config(anywhere(tight, s)).epochs_needed for s in range(50)) == 3


@pytest.mark.parametrize("key", WINDOW)
def test_a_window_that_is_given_in_part_is_held_as_a_whole(key: str) -> None:
    space = SearchSpace(tiny_config(), frozenset({key}))
    assert not {"end", "start", "opening"} & space.dimensions.keys()
    for seed in range(20):
        moved = differences(space.centre, space.config(anywhere(space, seed)))
        assert not set(WINDOW) & set(moved)


@pytest.mark.parametrize("name", ["expert_epochs", "syn_steps", "lr_images", "syn_lr"])
def test_what_is_given_is_held(name: str) -> None:
    space = SearchSpace(tiny_config(), frozenset({f"distill.{name}"}))
    for seed in range(20):
        config = space.config(anywhere(space, seed))
        assert getattr(config.distill, name) == getattr(space.centre.distill, name)


def test_what_cannot_matter_is_not_searched() -> None:
    assert "lr_labels" in SearchSpace(tiny_config()).dimensions
    assert "lr_labels" not in SearchSpace(tiny_config(distill={"labels": "hard"})).dimensions
    assert "lr_labels" not in SearchSpace(tiny_config(distill={"lr_labels": 0.0})).dimensions


def test_with_everything_given_nothing_is_left() -> None:
    every = frozenset(key for keys in KEYS.values() for key in keys)
    with pytest.raises(ConfigError, match="nothing is left to search"):
        _ = SearchSpace(tiny_config(), every).dimensions


@pytest.mark.parametrize(
    ("distill", "place", "expected"),
    [
        ({}, {"opening": 1.0}, (0, 3, 3, 0)),
        ({"initial_max_start_epoch": 3, "expansion_iterations": 0}, {"opening": 0.5}, (0, 2, 3, 4)),
        ({}, {"start": 0.7}, (2, 3, 3, 4)),
        ({}, {"end": 0.4}, (0, 1, 1, 4)),
    ],
)
def test_windows(
    distill: dict[str, Any], place: Point, expected: tuple[int, int, int, int]
) -> None:
    space = SearchSpace(tiny_config(distill=distill))
    settings = space.config({**space.centre_point, **place}).distill.model_dump()
    assert tuple(settings[key.removeprefix("distill.")] for key in WINDOW) == expected


def test_changes_are_reported_by_what_is_new() -> None:
    space = SearchSpace(tiny_config())
    assert changes(space.centre, space.centre) == ""
    moved = space.config({**space.centre_point, "lr_images": 0.31, "end": 0.4, "syn_steps": 6.0})
    assert changes(space.centre, moved) == "syn_steps 6, T 1, T⁺ 1, lr_images 9.3"
