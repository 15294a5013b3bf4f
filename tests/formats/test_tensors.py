"""Tensors of other codes: read as they are, told apart by name, refused where they do not fit."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from datm_engine.errors import ConfigError, DataError, FileError
from datm_engine.formats import importing, tensors
from tests.formats.conftest import (
    hard,
    official_images,
    official_logits,
    write_datm,
    write_dc,
    write_mtt,
)


def test_datm_s_files_come_back_bit_for_bit(tmp_path: Path) -> None:
    foreign = tensors.read(write_datm(tmp_path / "theirs"))
    assert foreign.rate is not None
    made = importing.without_dataset(foreign, foreign.rate)
    made.save(tmp_path / "ours.safetensors")
    written = tensors.save_official(tmp_path / "again", made.load(tmp_path / "ours.safetensors"))
    assert [path.name for path in written] == ["images_best.pt", "labels_best.pt", "lr_best.pt"]
    for path in written:
        before = torch.load(tmp_path / "theirs" / path.name, weights_only=True)
        after = torch.load(path, weights_only=True)
        assert before.dtype == after.dtype
        assert before.shape == after.shape
        assert torch.equal(before, after)


@pytest.mark.filterwarnings("error")
def test_tensors_that_were_learned_are_read_in_silence(tmp_path: Path) -> None:
    paths = write_datm(tmp_path)
    for path in paths:
        torch.save(torch.load(path, weights_only=True).requires_grad_(), path)
    foreign = tensors.read(paths)
    assert not foreign.images.requires_grad
    assert foreign.rate is not None


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    made = importing.without_dataset(tensors.read(write_datm(tmp_path / "theirs")), 0.01)
    one, two = (tensors.save_official(tmp_path / name, made)[0] for name in ("one", "two"))
    other = tensors.save(tmp_path / "another_name.pt", made.images)
    assert one.read_bytes() == two.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("prefix", ["", "ema_"])
def test_mtt_s_and_ftd_s_files_come_back_bit_for_bit(prefix: str, tmp_path: Path) -> None:
    foreign = tensors.read(write_mtt(tmp_path / "theirs", prefix))
    assert foreign.rate is None
    made = importing.without_dataset(foreign, 0.01)
    assert torch.equal(made.soft_labels, torch.nn.functional.one_hot(hard()).float())
    images, labels = tensors.save_hard(tmp_path / "again", made)
    assert torch.equal(torch.load(images, weights_only=True), official_images())
    back = torch.load(labels, weights_only=True)
    assert back.dtype == torch.int64
    assert torch.equal(back, hard())


def test_one_of_several_experiments_is_chosen(tmp_path: Path) -> None:
    path = write_dc(tmp_path)
    first, second = (tensors.read([path], experiment=number) for number in (0, 1))
    assert torch.equal(first.images, official_images())
    assert torch.equal(second.images, official_images() + 1)
    assert (first.experiments, first.classes) == (2, 3)
    with pytest.raises(ConfigError) as refused:
        tensors.read([path], experiment=2)
    assert refused.value.hint == "--experiment 1"


def test_dc_bench_gets_the_top_class_of_soft_labels(tmp_path: Path) -> None:
    made = importing.without_dataset(tensors.read(write_datm(tmp_path / "theirs")), 0.01)
    _, labels = tensors.save_hard(tmp_path / "bench", made)
    read = torch.load(labels, weights_only=True)
    assert torch.equal(read.long(), official_logits().argmax(1))


def test_a_set_without_its_dataset_says_that_its_space_is_unknown(tmp_path: Path) -> None:
    made = importing.without_dataset(tensors.read(write_mtt(tmp_path)), 0.01)
    made.save(tmp_path / "set.safetensors")
    found = made.load(tmp_path / "set.safetensors")
    assert found.preprocessing.kind == "unknown"
    for use in (found.pictures, lambda: found.preprocess(torch.zeros(1, 3, 8, 8))):
        with pytest.raises(DataError, match="without --dataset"):
            use()


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (["images_best.pt"], "not one set"),
        (["labels_best.pt", "lr_best.pt"], "not one set"),
        (["images_best.pt", "images_1.pt"], "are both images of a set"),
        (["images_zca_best.pt", "labels_best.pt"], "whitening undone"),
        (["syn.pt"], "named like none"),
    ],
)
def test_files_that_are_no_set_are_told(names: list[str], told: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=told):
        tensors.read([tmp_path / name for name in names])


@pytest.mark.parametrize(
    ("images", "labels", "told"),
    [
        (torch.zeros(6, 3, 8, 8).double(), hard(), "float64"),
        (torch.zeros(6, 3, 8), hard(), r"\[6, 3, 8\]"),
        (torch.zeros(5, 3, 8, 8), hard(), "labels for 5 images"),
        (torch.full((6, 3, 8, 8), float("nan")), hard(), "not finite"),
        (torch.zeros(6, 3, 8, 8), hard().flip(0), "class after class"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([0, 0, 0, 1, 2, 2]), "class after class"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([-1, 0, 0, 1, 2, 2]), "class after class"),
        (torch.zeros(6, 3, 8, 8), torch.zeros(6, 4), "not the same number"),
        ([1, 2], hard(), "not tensors"),
    ],
)
def test_unfit_tensors_are_told(images: object, labels: object, told: str, tmp_path: Path) -> None:
    torch.save(images, tmp_path / "images_best.pt")
    torch.save(labels, tmp_path / "labels_best.pt")
    with pytest.raises(FileError, match=told):
        tensors.read([tmp_path / "images_best.pt", tmp_path / "labels_best.pt"])


@pytest.mark.parametrize("rate", [torch.tensor(-0.1), torch.tensor(float("nan")), torch.zeros(2)])
def test_a_rate_that_is_none_is_told(rate: torch.Tensor, tmp_path: Path) -> None:
    files = write_datm(tmp_path)
    torch.save(rate, files[2])
    with pytest.raises(FileError, match="no positive number"):
        tensors.read(files)
