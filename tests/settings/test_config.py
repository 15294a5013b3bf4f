"""Settings: every problem at once, with its key; nothing read that is not meant."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datm_engine.errors import ConfigError
from datm_engine.hints import fix_text
from datm_engine.settings import presets
from datm_engine.settings.config import (
    Config,
    build,
    differences,
    flattened,
    nested,
    overlay,
    parse_assignments,
    read_toml,
)

Make = Callable[..., Config]


def problem(**over: dict[str, Any]) -> str:
    with pytest.raises(ConfigError) as raised:
        build(overlay(presets.load("digits-ipc1"), over), "here")
    assert raised.value.message.startswith("here: ")
    assert fix_text(raised.value.fix)
    return raised.value.message


def test_all_problems_in_one_message() -> None:
    text = problem(
        distill={"sin_steps": 3, "ipc": 0},
        experts={"lr": -1.0, "optimizer": "adam"},
        netwrok={},
    )
    assert "unknown key distill.sin_steps (did you mean syn_steps?)" in text
    assert "unknown key netwrok (did you mean network?)" in text
    assert "distill.ipc = 0: input should be a whole number of at least 1" in text
    assert "experts.lr = -1.0" in text
    assert "experts.optimizer = 'adam'" in text


def test_what_is_not_set() -> None:
    tables = presets.load("digits-ipc1")
    del tables["distill"]["ipc"], tables["evaluate"]
    with pytest.raises(ConfigError, match=r"distill.ipc is not set; evaluate is not set"):
        build(tables, "here")


@pytest.mark.parametrize(
    ("over", "message"),
    [
        ({"distill": {"min_start_epoch": 4}}, "must be above min_start_epoch"),
        ({"distill": {"max_start_epoch": 1}}, "must be at least initial_max_start_epoch"),
        ({"experts": {"epochs": 2}}, 'epoch 5 is matched (T⁺ − 1 + M); set it to that or to "win'),
        ({"distill": {"label_epoch": 6}}, "label_epoch = 6 is beyond the experts' 5 epochs"),
        ({"experts": {"early_stop": True}}, "needs a number of experts.epochs"),
        (
            {"experts": {"early_stop": True, "epochs": 9, "order": "easy-first"}},
            'needs experts.order = "random"',
        ),
    ],
)
def test_tables_agree(over: dict[str, Any], message: str) -> None:
    defaults = {"distill": {"max_start_epoch": 4, "initial_max_start_epoch": 4, "expert_epochs": 2}}
    assert message in problem(**overlay(defaults, over))


def test_types_are_not_guessed() -> None:
    assert "distill.ipc = '3'" in problem(distill={"ipc": "3"})
    assert "distill.ipc = 1.0" in problem(distill={"ipc": 1.0})
    assert "distill.ipc = True" in problem(distill={"ipc": True})
    whole = build(overlay(presets.load("digits-ipc1"), {"distill": {"lr_images": 3}}), "here")
    assert whole.distill.lr_images == 3.0, "but a whole number is a number"


def test_assignments() -> None:
    found = parse_assignments(
        ["distill.syn_steps=40", "experts.lr=1e-3", "dataset.name=cifar10", "a.b=[1, 2]", "a.c=x=y"]
    )
    assert found == {
        "distill": {"syn_steps": 40},
        "experts": {"lr": 1e-3},
        "dataset": {"name": "cifar10"},
        "a": {"b": [1, 2], "c": "x=y"},
    }
    for text in ("syn_steps=40", "distill.syn_steps", "=3", "distill.=3"):
        with pytest.raises(ConfigError, match="not of the form table"):
            parse_assignments([text])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("evaluate.networks=convnet,mlp", ["convnet", "mlp"]),
        ("evaluate.networks=convnet", ["convnet"]),
        ('evaluate.networks=["convnet", "mlp"]', ["convnet", "mlp"]),
        ("evaluate.against=random", ["random"]),
        ("evaluate.against=none", []),
        ("dataset.augmentation=flip, crop", ["flip", "crop"]),
        ("dataset.augmentation=[]", []),
        ("experts.lr=.01", 0.01),
        ("distill.threshold=1.", 1.0),
        ("experts.imported=a,b", "a,b"),
    ],
)
def test_assignments_to_a_key_are_read_as_what_it_holds(text: str, value: Any) -> None:
    table, _, key = text.partition("=")[0].partition(".")
    found = parse_assignments([text])
    assert found == {table: {key: value}}
    built = build(overlay(presets.load("digits-ipc1"), found), "here")
    assert getattr(getattr(built, table), key) == value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("distill.ipc=many", "distill.ipc = 'many': input should be a whole number of at least 1"),
        ("experts.lr=fast", "experts.lr = 'fast': input should be a number above 0"),
        ("experts.momentum=1", "a number of at least 0 and below 1"),
        ("distill.matched_share=2", "a number above 0 and of at most 1"),
        ("distill.lr_images=inf", "input should be finite, a number of at least 0"),
        ("distill.mirrored=True", "distill.mirrored = 'True': input should be true or false"),
        (
            "distill.images=real",
            "distill.images = 'real': input should be correct, random or noise",
        ),
        ("dataset.train_images=few", "input should be a whole number of at least 2, or all"),
        ("experts.imported=3", "experts.imported = 3: input should be a text, or none"),
        (
            "evaluate.networks=convnet,mpl",
            "evaluate.networks = 'mpl': input should be a list of convnet, convnetbn, mlp, lenet, "
            "alexnet, vgg11, resnet18, vit, as evaluate.networks=convnet,convnetbn "
            '(in a file: ["convnet", "convnetbn"])',
        ),
        ("dataset.augmentation=", ", or dataset.augmentation=none for an empty one"),
    ],
)
def test_a_problem_shows_the_form_of_a_valid_value(text: str, expected: str) -> None:
    message = problem(**parse_assignments([text]))
    assert expected in message
    assert message.count("input should be") == 1


def test_a_key_of_another_table_is_named_before_any_likeness() -> None:
    text = problem(distill={"momentum": 0.5, "lr": 0.1, "batch_size": 8}, network={"depht": 3})
    assert "unknown key distill.momentum (there is experts.momentum and evaluate.momentum)" in text
    assert "unknown key distill.lr (there is experts.lr)" in text
    assert "unknown key distill.batch_size (the presets" in text, "batch_syn is of another meaning"
    assert "unknown key network.depht (did you mean depth?)" in text


def test_epochs(make_config: Make) -> None:
    window = make_config(experts={"epochs": "window"})
    assert window.snapshot_epochs == window.epochs_needed == 3  # T⁺ − 1 + M = 3 − 1 + 1
    assert make_config(experts={"epochs": 9}).snapshot_epochs == 9


def test_differences(make_config: Make) -> None:
    left, right = make_config(), make_config(distill={"seed": 5}, network={"width": 6})
    assert differences(left, right) == {"network.width": (4, 6), "distill.seed": (0, 5)}
    assert differences(left, left) == {}


def test_a_configuration_cannot_be_changed(make_config: Make) -> None:
    with pytest.raises(ValueError, match="frozen"):
        make_config().distill.ipc = 3  # type: ignore[misc]


def test_files_that_are_no_toml(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    with pytest.raises(ConfigError, match="No such file"):
        read_toml(path)
    path.write_text("[distill\n")
    with pytest.raises(ConfigError, match=r"settings\.toml: not TOML"):
        read_toml(path)
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="not TOML"):
        read_toml(path)


def test_a_share_of_the_weights_is_above_none_and_at_most_all() -> None:
    for share in (0.0, 1.5, -0.1):
        assert "distill.matched_share" in problem(distill={"matched_share": share})
    assert build(overlay(presets.load("digits-ipc1"), {"distill": {"matched_share": 1}}), "here")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("2", "a resolution of 2 pixels is too small; 4 a side at least"),
        ("32x2", "a resolution of 32x2 pixels is too small; 4 a side at least"),
        ("wide", "wide is no resolution; it is 32, 32x24 (width x height) or native"),
    ],
)
def test_a_problem_of_a_resolution_shows_the_form_of_a_valid_one(value: str, message: str) -> None:
    assert message in problem(**parse_assignments([f"dataset.resolution={value}"]))


def test_tables_are_flattened_and_nested_again() -> None:
    tables = presets.load("digits-ipc1")
    flat = flattened(tables)
    assert flat["distill.lr_images"] == tables["distill"]["lr_images"]
    assert nested(flat) == tables
    assert flattened({"distill": {"ipc": 1}, "seed": 3}) == {"distill.ipc": 1}, "no table"


def test_a_configuration_with_other_values_is_checked_too() -> None:
    before = build(presets.load("digits-ipc1"), "here")
    after = before.with_values({"distill": {"threshold": 2.0}}, "the test")
    assert differences(before, after) == {
        "distill.threshold": (before.distill.threshold, 2.0),
    }
    with pytest.raises(ConfigError, match=r"the test: unknown key distill\.treshold"):
        before.with_values({"distill": {"treshold": 2.0}}, "the test")
