"""Published names lead to their counterparts, never to a key of another meaning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from datm_engine.errors import ConfigError
from datm_engine.hints import fix_text
from datm_engine.settings import presets
from datm_engine.settings.config import Config, build, overlay, parse_assignments
from datm_engine.settings.messages import fields
from datm_engine.settings.published_names import PUBLISHED, counterpart, published_name
from datm_engine.settings.published_yaml import read_published_yaml

CIFAR10_IPC10 = """\
dataset: CIFAR10
device: [3]

ipc: 10
syn_steps: 80
expert_epochs: 2
lr_img: 100
lr_teacher: 0.01
buffer_path: ../buffer_storage/
data_path: ../dataset
ema_decay: 0.9995
Iteration: 10000
batch_syn: 100

# wandb
project: CIFAR10_ipc10

num_eval: 1
eval_it: 500
skip_first_eva: True

lr_y: 2.0
Momentum_y: 0.9
threshold: 1.
pix_init: samples_predicted_correctly
batch_train: 128

min_start_epoch: 0
current_max_start_epoch: 10
max_start_epoch: 20
expansion_end_epoch: 1000

lr_lr: 0.00001
zca: True
"""


def problem(key: str) -> str:
    table, _, name = key.partition(".")
    with pytest.raises(ConfigError) as raised:
        build(overlay(presets.load("digits-ipc1"), {table: {name: 1}}), "here")
    return raised.value.message


@pytest.mark.parametrize(
    ("name", "keys"),
    [
        ("lr_y", "distill.lr_labels"),
        ("lr_img", "distill.lr_images"),
        ("lr_teacher", "distill.syn_lr and experts.lr"),
        ("Momentum_y", "distill.momentum_labels"),
        ("num_eval", "evaluate.repeats and evaluate.selection_repeats"),
        ("expansion_end_epoch", "distill.expansion_iterations"),
        ("current_max_start_epoch", "distill.initial_max_start_epoch"),
        ("Iteration", "distill.iterations"),
        ("eval_it", "evaluate.selection_interval"),
        ("batch_train", "evaluate.batch and experts.batch"),
        ("rho_max", "experts.rho"),
        ("zca", "dataset.preprocessing"),
        ("dsa_strategy", "dataset.augmentation"),
    ],
)
def test_an_unknown_key_of_a_published_name_leads_to_its_counterpart(name: str, keys: str) -> None:
    text = problem(f"distill.{name}")
    assert f"unknown key distill.{name} (the published {name} is {keys} here: " in text
    assert "did you mean" not in text


def test_no_published_name_is_answered_by_a_likeness() -> None:
    for name, published in PUBLISHED.items():
        for table in Config.model_fields:
            if name in fields(Config, table):
                continue
            text = problem(f"{table}.{name}")
            assert "did you mean" not in text, text
            assert all(key in text for key in published.keys), text
            assert published.keys or f"the published {name} has no counterpart: " in text


def test_every_counterpart_is_a_key() -> None:
    for published in PUBLISHED.values():
        assert published.meaning
        for key in published.keys:
            table, _, name = key.partition(".")
            assert name in fields(Config, table), key


def test_letter_case_and_dashes_do_not_matter() -> None:
    assert published_name("momentum_y") == published_name("Momentum-Y") == "Momentum_y"
    assert published_name("syn_lr") is None
    assert counterpart("syn_lr") is None


def test_a_published_name_without_its_table_is_answered_too() -> None:
    with pytest.raises(ConfigError, match=r"the published lr_y is distill\.lr_labels here"):
        parse_assignments(["lr_y=5"])


def test_the_published_settings_are_those_of_the_preset(tmp_path: Path) -> None:
    path = tmp_path / "IPC10.yaml"
    path.write_text(CIFAR10_IPC10)
    tables, notes = read_published_yaml(path)
    preset = presets.load("cifar10-ipc10")
    assert tables.pop("evaluate") == {
        "repeats": 1,
        "selection_repeats": 1,
        "selection_interval": 500,
        "batch": 128,
    }
    assert tables == {
        "dataset": {"name": "cifar10", "preprocessing": "zca"},
        "distill": {
            key: preset["distill"][key]
            for key in (
                *("ipc", "syn_steps", "expert_epochs", "lr_images", "syn_lr", "iterations"),
                *("batch_syn", "lr_labels", "momentum_labels", "threshold", "images"),
                *("label_experts", "min_start_epoch", "initial_max_start_epoch"),
                *("max_start_epoch", "expansion_iterations", "lr_lr"),
            )
        },
    }
    became, without = notes
    assert became.startswith("IPC10.yaml: published names: dataset is dataset.name = cifar10; ")
    assert "lr_y is distill.lr_labels = 2.0; Momentum_y is distill.momentum_labels" in became
    assert "expansion_end_epoch is distill.expansion_iterations = 1000" in became
    assert "num_eval is evaluate.repeats = 1, evaluate.selection_repeats = 1" in became
    assert without.startswith("IPC10.yaml: published names without a counterpart: device (the")
    assert "ema_decay (DATM's code does not read it (FTD's is distill.averaging))" in without
    assert "project (the argument log names trackers" in without
    for name in ("buffer_path", "data_path", "skip_first_eva"):
        assert f"{name} (" in without


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "Sequential_Generation: False\nmax_start_epoch: 70\ncurrent_max_start_epoch: 30\n",
            {
                "distill": {
                    "expansion_iterations": 0,
                    "max_start_epoch": 70,
                    "initial_max_start_epoch": 70,
                }
            },
        ),
        ("Initial_Step: 15\nlearn_end_epoch: 2000\n", {
            "distill": {"initial_max_start_epoch": 15, "expansion_iterations": 2000}
        }),
        ("lr_lr: 1e-05\nIteration: '5000'\nthreshold: 1\n", {
            "distill": {"lr_lr": 1e-5, "iterations": 5000, "threshold": 1.0}
        }),
        ("zca: false\ndataset: Tiny\nres: 64\nmodel: ConvNetD4\n", {
            "dataset": {"preprocessing": "normalize", "name": "tinyimagenet", "resolution": 64},
            "network": {"depth": 4, "width": 128, "norm": "instance"},
        }),
        ("dsa: False\ndsa_strategy: color_crop\n", {"dataset": {"augmentation": []}}),
        ("dsa_strategy: color_crop_cutout_flip_scale_rotate\n", {
            "dataset": {
                "augmentation": ["color", "crop", "cutout", "flip", "scale", "rotate"]
            }
        }),
        ("pix_init: real\neval_mode: S\n", {
            "distill": {"images": "random", "label_experts": "one"},
            "evaluate": {"networks": ["convnet"]},
        }),
        ("teacher_label: True\n", {
            "distill": {"labels": "soft", "label_experts": "one", "lr_labels": 0.0}
        }),
        ("batch_syn: null\nipc: 1\n", {"distill": {"ipc": 1}}),
        ("num_experts: 50\ntrain_epochs: 60\nmom: 0.5\nl2: 0.0005\nrho_max: 0.01\nalpha: 0.3\n", {
            "experts": {
                "count": 50, "epochs": 60, "momentum": 0.5, "weight_decay": 5e-4, "rho": 0.01,
                "alpha": 0.3,
            }
        }),
    ],
)  # fmt: skip
def test_values_are_converted(text: str, expected: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "settings.yml"
    path.write_text(text)
    assert read_published_yaml(path)[0] == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ipc: [1", "not YAML: "),
        ("- ipc\n- 10\n", "no settings: DATM's published files have lines such as ipc: 10"),
        ("", "no settings"),
        ("ten\n", "no settings"),
        ("ipc: !!python/object/apply:os.system ['true']\n", "not YAML: could not determine"),
        ("Momentum_y: 0.9\nmomentum_y: 0.5\n", "momentum_y is stated twice, in two spellings"),
        ("ipc: ten\n", "ipc: 'ten' is not a whole number"),
        ("ipc: 1.5\n", "ipc: 1.5 is not a whole number"),
        ("ipc: true\n", "ipc: True is not a whole number"),
        ("lr_y: [1, 2]\n", "lr_y: [1, 2] is not a number"),
        ("zca: 'perhaps'\n", "zca: 'perhaps' is none of True, False"),
        ("model: ResNet18BN\n", "model: ResNet18BN: experts here are ConvNets"),
        ("dsa_strategy: color_blur\n", "dsa_strategy: blur is none of color, crop"),
        ("lr_yy: 1\n", "'lr_yy': no name of DATM's published files"),
        ("1: 2\n", "1: no name of DATM's published files"),
        ("dataset: {name: digits}\n", "dataset: {'name': 'digits'} is not a word"),
        ("ipc: " + "9" * 5000 + "\n", "not YAML: "),
        ("ipc: " + "[" * 3000 + "\n", "not YAML: "),
    ],
)
def test_what_is_no_published_file_is_one_problem(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as raised:
        read_published_yaml(path)
    assert raised.value.message.startswith(f"{path}: {message}")
    assert "\n" not in raised.value.message
    assert fix_text(raised.value.fix) == f"ls -l {path}"


def test_aliases_that_grow_without_end_are_a_short_problem(tmp_path: Path) -> None:
    path = tmp_path / "bomb.yaml"
    rows = [f"l{n + 1}: &l{n + 1} [{', '.join([f'*l{n}'] * 9)}]" for n in range(9)]
    path.write_text("\n".join(["l0: &l0 [x]", *rows, "ipc: *l9"]))
    with pytest.raises(ConfigError) as raised:
        read_published_yaml(path)
    path.write_text("subset: &a [x, x]\nres: 64\nzca: *a\n")
    with pytest.raises(ConfigError, match="none of True, False") as again:
        read_published_yaml(path)
    assert max(len(raised.value.message), len(again.value.message)) < 300


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        read_published_yaml(tmp_path / "none.yaml")
    (tmp_path / "bytes.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="not YAML"):
        read_published_yaml(tmp_path / "bytes.yaml")


def test_a_name_that_is_stated_twice_has_its_last_value_and_is_noted(tmp_path: Path) -> None:
    """One of DATM's published files states zca twice."""
    path = tmp_path / "IPC50.yaml"
    path.write_text("zca: False\nipc: 50\nzca: True\n")
    tables, notes = read_published_yaml(path)
    assert tables["dataset"]["preprocessing"] == "zca"
    assert "IPC50.yaml: stated twice, the last value counts: zca" in notes


def test_an_unknown_name_beside_known_ones_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("ipc: 10\nMomentum_lr: 0.9\n")
    tables, notes = read_published_yaml(path)
    assert tables == {"distill": {"ipc": 10}}
    assert "'Momentum_lr' (no name of DATM's published files)" in notes[-1]


@pytest.mark.parametrize(("text", "on"), [("'True'", True), ('"False"', False), ("true", True)])
def test_a_switch_may_be_quoted(text: str, on: bool, tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text(f"zca: {text}\n")
    tables, _ = read_published_yaml(path)
    assert tables["dataset"]["preprocessing"] == ("zca" if on else "normalize")
