"""Settings as trials have them, and the best trial's as a preset."""

from __future__ import annotations

import tomllib

import pytest

from datm_engine.errors import ConfigError
from datm_engine.settings import presets
from datm_engine.settings.config import build, differences, overlay
from datm_engine.settings.presets import preset_text
from datm_engine.tuning.search_space import SearchSpace
from datm_engine.tuning.trial_settings import lengthened, score_number, scoring_interval, shortened
from tests.conftest import tiny_config


def test_a_trial_is_judged_by_held_out_images_alone() -> None:
    asked = tiny_config(evaluate={"selection": "test", "networks": ["mlp"]})
    trial = shortened(asked, 8).evaluate
    assert (trial.selection, trial.against, trial.networks) == ("validation", [], ["convnet"])
    assert trial.selection_repeats == 2
    assert (
        shortened(tiny_config(evaluate={"selection_repeats": 5}), 8).evaluate.selection_repeats == 5
    )


def test_without_a_held_out_part_there_are_no_trials() -> None:
    asked = tiny_config(dataset={"validation": 0.0}, evaluate={"selection": "last"})
    with pytest.raises(ConfigError, match=r"dataset\.validation = 0 holds none out"):
        shortened(asked, 8)


def test_what_counts_iterations_is_shortened_alike() -> None:
    asked = build(presets.load("cifar10-ftd-ipc10"), "ftd")  # 5,000 iterations, decay 0.9995
    trial = shortened(asked, 500)
    assert trial.distill.averaging == pytest.approx(0.995, abs=1e-4)
    grown = shortened(build(presets.load("cifar10-ipc10"), "datm"), 500)
    assert grown.distill.expansion_iterations == 50  # 1,000 of 10,000


def test_derived_rates_are_those_of_the_whole_length() -> None:
    asked = build(presets.load("cifar10-ipc10"), "datm")  # 10,000 iterations
    best = build(
        overlay(
            shortened(asked, 100).model_dump(), {"distill": {"lr_images": 30.0, "lr_lr": 2e-5}}
        ),
        "best",
    )
    back = lengthened(asked, best, {"distill.lr_images": {}, "distill.syn_lr": {}})
    assert back.distill.lr_images == pytest.approx(3.0), "a tenth: 0.6/√10,000 beside 0.6/√100"
    assert back.distill.lr_lr == 2e-5, "stated, not derived"
    same = lengthened(asked, best.model_copy(), {})
    assert same.distill.lr_images == 30.0


@pytest.mark.parametrize("name", presets.names())
def test_there_and_back_is_the_same(name: str) -> None:
    asked = build(presets.load(name), name)
    for iterations in (asked.distill.iterations, 100):
        back = lengthened(asked, shortened(asked, iterations))
        assert set(differences(asked, back)) <= {"experts.epochs"}
        assert back.snapshot_epochs == asked.snapshot_epochs


def test_what_the_search_or_the_experts_changed_is_kept() -> None:
    asked = build(presets.load("cifar10-ipc10"), "datm")
    trial = shortened(asked, 1000)
    space = SearchSpace(trial)
    best = space.config({**space.centre_point, "end": 0.5, "lr_images": 2.0})
    derived = best.model_copy(update={"distill": best.distill.model_copy(update={"lr_lr": 3e-6})})
    back = lengthened(asked, derived)
    assert (back.distill.max_start_epoch, back.distill.lr_images) == (10, 200.0)
    assert back.distill.lr_lr == 3e-6
    assert (back.distill.iterations, back.distill.expansion_iterations) == (10_000, 1000)
    assert back.evaluate == asked.evaluate


def test_the_preset_states_every_key_and_loads(tmp_path: object) -> None:
    for name in presets.names():
        config = lengthened(
            build(presets.load(name), name), shortened(build(presets.load(name), name), 9)
        )
        text = preset_text(config, ["what it is", "", "  datm distill"])
        assert text.startswith("# what it is\n#\n#   datm distill\n\n[dataset]\n")
        stated = tomllib.loads(text)
        assert build(stated, name) == config
        for table, keys in config.model_dump(exclude={"experts": {"imported"}}).items():
            assert stated[table].keys() == keys.keys()
    odd = tiny_config(dataset={"name": '/a "path"\\with\ttabs/ü'})
    assert build(tomllib.loads(preset_text(odd, [])), "odd") == odd


@pytest.mark.parametrize(("iterations", "scored"), [(9, 9), (200, 9), (10, 5), (1, 1), (8, 8)])
def test_scores_are_at_ninths(iterations: int, scored: int) -> None:
    interval = scoring_interval(iterations)
    due = [i for i in range(1, iterations + 1) if i % interval == 0 or i == iterations]
    assert [score_number(i, iterations) for i in due] == list(range(1, scored + 1))
