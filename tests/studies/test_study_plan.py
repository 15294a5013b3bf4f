"""The runs of a study differ in what it is about, and in nothing else."""

from __future__ import annotations

import pytest

from datm_engine.errors import ConfigError, Setting
from datm_engine.runs.names import dataset_name
from datm_engine.settings.config import differences
from datm_engine.studies.study_plan import (
    EVERY_LOSS,
    StudyPlan,
    plan_methods,
    plan_windows,
    sample_interval,
    with_settings,
)
from tests.conftest import tiny_config


def test_names_say_study_ipc_and_window(windows: StudyPlan) -> None:
    assert [run.name for run in windows.runs][:4] == [
        "study-digits-ipc1-early",
        "study-digits-ipc1-middle",
        "study-digits-ipc1-late",
        "study-digits-ipc2-early",
    ]
    assert (windows.ipcs, windows.variants) == ((1, 2, 5), ("early", "middle", "late"))
    assert (windows.networks, windows.selections) == (("convnet",), ("random", "full"))
    assert [dataset_name(name) for name in ("cifar10", "/here/photos", "a/b.safetensors")] == [
        "cifar10",
        "photos",
        "b",
    ]


def test_no_step_of_a_window_is_refused_for_its_loss() -> None:
    config = tiny_config()
    every = with_settings(config, distill={"threshold": EVERY_LOSS})
    assert differences(config, every) == {"distill.threshold": (5.0, 1e9)}
    expected = "every step is taken, whatever its loss"
    assert any(expected in note for note in plan_windows("digits", {1: every}).notes)
    assert not any(expected in note for note in plan_windows("digits", {1: config}).notes)


def test_windows_are_fixed_thirds_of_the_same_epochs() -> None:
    """Of 11 epochs, matched 2 apart, there are the start epochs 0 to 9."""
    tables = {"experts": {"epochs": 11}, "distill": {"expert_epochs": 2}}
    plan = plan_windows("digits", {1: tiny_config(**tables)})
    starts = []
    for run in plan.runs:
        window = run.config.distill
        assert window.expansion_iterations == 0
        assert window.initial_max_start_epoch == window.max_start_epoch
        starts.append([*range(window.min_start_epoch, window.max_start_epoch)])
        first, last = run.window.split("–")
        assert (int(first), int(last)) == (starts[-1][0], starts[-1][-1])
    assert [epoch for third in starts for epoch in third] == [*range(10)], (
        "none is left out, and none shared"
    )
    assert all(len(third) in (3, 4) for third in starts)


def test_only_the_window_differs_within_an_ipc(windows: StudyPlan) -> None:
    early, middle, late = (run.config for run in windows.runs[:3])
    for other in (middle, late):
        assert {key.partition(".")[0] for key in differences(early, other)} == {"distill"}
        assert set(differences(early, other)) <= {
            "distill.min_start_epoch",
            "distill.initial_max_start_epoch",
            "distill.max_start_epoch",
        }


def test_experts_are_those_of_the_longest_for_all() -> None:
    own = {"experts": {"epochs": "window"}}
    longer = {"distill": {"ipc": 2, "max_start_epoch": 7}, **own}
    plan = plan_windows("digits", {2: tiny_config(**longer), 1: tiny_config(**own)})
    assert plan.ipcs == (1, 2), "few images first, however they were stated"
    assert {run.config.experts.epochs for run in plan.runs} == {7}, "7 − 1 + M"
    assert len({run.config.experts.model_dump_json() for run in plan.runs}) == 1
    assert "thirds of the same 7 epochs" in plan.notes[-1]


def test_other_settings_of_experts_give_way_and_are_named() -> None:
    wider = tiny_config(distill={"ipc": 2}, network={"width": 8}, experts={"count": 3})
    plan = plan_windows("digits", {1: tiny_config(), 2: wider})
    assert {run.config.network.width for run in plan.runs} == {4}
    assert {run.config.experts.count for run in plan.runs} == {2}
    assert "experts.count, network.width differ" in plan.notes[0]
    assert "those of ipc 1 hold" in plan.notes[0]


def test_too_few_epochs_for_thirds_are_refused() -> None:
    short = tiny_config(
        experts={"epochs": 2},
        distill={"initial_max_start_epoch": 1, "max_start_epoch": 1, "expert_epochs": 1},
    )
    with pytest.raises(ConfigError, match="too few start epochs") as raised:
        plan_windows("digits", {1: short})
    assert raised.value.fix == Setting("experts.epochs", 3)


@pytest.mark.parametrize(("iterations", "interval"), [(150, 30), (8, 1), (3, 1)])
def test_a_strip_has_pictures_on_the_way(iterations: int, interval: int) -> None:
    assert sample_interval(tiny_config(distill={"iterations": iterations})) == interval


def test_methods_stand_in_their_order_and_share_the_length_of_experts() -> None:
    against = {"evaluate": {"against": ["random", "full"]}}
    mtt = {"experts": {"optimizer": "gsam", "epochs": "window"}, **against}
    configs = {
        ("mtt", 2): tiny_config(distill={"ipc": 2}, **mtt),
        ("datm", 2): tiny_config(distill={"ipc": 2}, **against),
        ("mtt", 1): tiny_config(**mtt),
        ("datm", 1): tiny_config(**against),
    }
    plan = plan_methods("digits", configs)
    assert [run.name for run in plan.runs] == [
        "study-digits-ipc1-mtt",
        "study-digits-ipc1-datm",
        "study-digits-ipc2-mtt",
        "study-digits-ipc2-datm",
    ]
    assert {run.config.experts.epochs for run in plan.runs} == {4}
    assert {run.config.experts.optimizer for run in plan.runs} == {"sgd", "gsam"}
