"""What DD-Ranking is given: the tensors as they are, and the settings its scores are made by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from datm_engine.errors import ConfigError, Setting
from datm_engine.interop import ddranking, tensor_files
from datm_engine.synthetic import SyntheticSet

MakeSet = Callable[..., SyntheticSet]


def test_tensors_and_settings(tmp_path: Path, make_set: MakeSet) -> None:
    made = make_set()
    images, labels, rate, settings = ddranking.export(tmp_path / "out", made)
    assert torch.equal(torch.load(images, weights_only=True), made.images)
    assert torch.equal(torch.load(labels, weights_only=True), made.labels)
    assert float(torch.load(rate, weights_only=True)) == pytest.approx(0.02)
    stated = yaml.safe_load(settings.read_text())
    expected = {
        "dataset": "CIFAR10",
        "ipc": 2,
        "im_size": [8, 8],
        "model_name": "ConvNet-3",
        "data_aug_func": "dsa",
        "use_zca": False,
        "soft_label_mode": "S",
        "soft_label_criterion": "sce",
        "loss_fn_kwargs": {"temperature": 1.0, "scale_loss": False},
        "custom_train_trans": None,
    }
    assert stated.items() >= expected.items()
    assert (stated["aug_params"]["saturation"], stated["aug_params"]["flip"]) == (2.0, 0.5)


def test_what_is_exported_is_imported_bit_for_bit(tmp_path: Path, make_set: MakeSet) -> None:
    made = make_set()
    *files, _ = ddranking.export(tmp_path / "out", made)
    foreign = tensor_files.read_set(files)
    assert torch.equal(foreign.images, made.images)
    assert torch.equal(foreign.labels, made.labels)
    assert foreign.rate is not None
    again = replace(made, images=foreign.images, labels=foreign.labels, syn_lr=foreign.rate)
    for before, after in zip(files, ddranking.export(tmp_path / "again", again), strict=False):
        assert before.read_bytes() == after.read_bytes()


def test_a_folder_is_known_by_its_name(tmp_path: Path, make_set: MakeSet) -> None:
    folder = replace(make_set(), dataset="/data/CIFAR-10")
    assert ddranking.parameters(folder)["dataset"] == "CIFAR10"
    assert len(ddranking.export(tmp_path / "out", folder)) == 4


def test_every_parameter_of_its_augmentation_is_there(make_set: MakeSet) -> None:
    """It draws one of its six operations, so that those we do not use must do nothing."""
    facts = ddranking.parameters(make_set())
    assert facts["data_aug_func"] == "dsa"
    assert facts["aug_params"] == {
        "flip": 0.5,
        "rotate": 0.0,
        "saturation": 2.0,
        "brightness": 1.0,
        "contrast": 0.5,
        "scale": 1.0,
        "crop": 0.0,
        "cutout": 0.0,
    }
    assert ddranking.parameters(replace(make_set(), augmentation=()))["data_aug_func"] is None


def test_augmentation_it_cannot_have_is_refused(tmp_path: Path, make_set: MakeSet) -> None:
    with pytest.raises(ConfigError, match="without color"):
        ddranking.export(tmp_path / "out", replace(make_set(), augmentation=("flip",)))


def test_the_settings_are_yaml(make_set: MakeSet, tmp_path: Path) -> None:
    made = make_set(dataset="cifar100")
    settings = ddranking.export(tmp_path, made)[-1]
    assert yaml.safe_load(settings.read_text()) == ddranking.parameters(made)


def test_a_dataset_it_does_not_know_is_refused(tmp_path: Path, make_set: MakeSet) -> None:
    with pytest.raises(ConfigError, match="and not digits") as refused:
        ddranking.export(tmp_path / "out", make_set(dataset="digits"))
    assert refused.value.fix == Setting("format", "official")
    assert not (tmp_path / "out").exists()
