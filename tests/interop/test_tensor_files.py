"""Tensors of other codes: read as they are, known by their names, refused if they do not fit."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
import torch

from datm_engine.errors import ConfigError, DataError, FileError, Setting
from datm_engine.interop import imported_sets, tensor_files
from tests.interop.conftest import (
    hard,
    official_images,
    official_logits,
    write_datm,
    write_dc,
    write_mtt,
)


def test_datm_s_files_come_back_bit_for_bit(tmp_path: Path) -> None:
    foreign = tensor_files.read_set(write_datm(tmp_path / "theirs"))
    assert foreign.rate is not None
    made = imported_sets.without_dataset(foreign, foreign.rate)
    made.save(tmp_path / "ours.safetensors")
    written = tensor_files.save_soft(tmp_path / "again", made.load(tmp_path / "ours.safetensors"))
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
    foreign = tensor_files.read_set(paths)
    assert not foreign.images.requires_grad
    assert foreign.rate is not None


def test_the_same_content_is_the_same_bytes(tmp_path: Path) -> None:
    made = imported_sets.without_dataset(
        tensor_files.read_set(write_datm(tmp_path / "theirs")), 0.01
    )
    one, two = (tensor_files.save_soft(tmp_path / name, made)[0] for name in ("one", "two"))
    other = tensor_files.save_soft(tmp_path, made, suffix="_of_another_name")[0]
    assert one.read_bytes() == two.read_bytes() == other.read_bytes()


@pytest.mark.parametrize("prefix", ["", "ema_"])
def test_mtt_s_and_ftd_s_files_come_back_bit_for_bit(prefix: str, tmp_path: Path) -> None:
    foreign = tensor_files.read_set(write_mtt(tmp_path / "theirs", prefix))
    assert foreign.rate is None
    made = imported_sets.without_dataset(foreign, 0.01)
    assert torch.equal(made.soft_labels, torch.nn.functional.one_hot(hard()).float())
    images, labels = tensor_files.save_hard(tmp_path / "again", made)
    assert torch.equal(torch.load(images, weights_only=True), official_images())
    back = torch.load(labels, weights_only=True)
    assert back.dtype == torch.int64
    assert torch.equal(back, hard())


def test_one_of_several_experiments_is_chosen(tmp_path: Path) -> None:
    path = write_dc(tmp_path)
    first, second = (tensor_files.read_set([path], experiment=number) for number in (0, 1))
    assert torch.equal(first.images, official_images())
    assert torch.equal(second.images, official_images() + 1)
    assert (first.experiments, first.classes) == (2, 3)
    with pytest.raises(ConfigError) as refused:
        tensor_files.read_set([path], experiment=2)
    assert refused.value.fix == Setting("experiment", 1)


def test_dc_bench_gets_the_top_class_of_soft_labels(tmp_path: Path) -> None:
    made = imported_sets.without_dataset(
        tensor_files.read_set(write_datm(tmp_path / "theirs")), 0.01
    )
    _, labels = tensor_files.save_hard(tmp_path / "bench", made)
    read = torch.load(labels, weights_only=True)
    assert torch.equal(read.long(), official_logits().argmax(1))


def test_a_set_without_its_dataset_says_that_its_space_is_unknown(tmp_path: Path) -> None:
    made = imported_sets.without_dataset(tensor_files.read_set(write_mtt(tmp_path)), 0.01)
    made.save(tmp_path / "set.safetensors")
    found = made.load(tmp_path / "set.safetensors")
    assert found.preprocessing.kind == "unknown"
    for use in (found.pictures, lambda: found.preprocess(torch.zeros(1, 3, 8, 8))):
        with pytest.raises(DataError, match="without a dataset"):
            use()


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["images_best.pt"], "not one set"),
        (["labels_best.pt", "lr_best.pt"], "not one set"),
        (["images_best.pt", "images_1.pt"], "are both images of a set"),
        (["images_zca_best.pt", "labels_best.pt"], "whitening undone"),
        (["syn.pt"], "named like none"),
    ],
)
def test_files_that_are_no_set_are_reported(
    names: list[str], expected: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match=expected):
        tensor_files.read_set([tmp_path / name for name in names])


@pytest.mark.parametrize(
    ("images", "labels", "expected"),
    [
        (torch.zeros(6, 3, 8, 8).int(), hard(), "images_best.pt.*torch.int32"),
        (torch.zeros(6, 3, 8, 8).to(torch.complex64), hard(), "images_best.pt.*torch.complex64"),
        (torch.zeros(6, 3, 8), hard(), r"\[6, 3, 8\]"),
        (torch.zeros(5, 3, 8, 8), hard(), "labels for 5 images"),
        (torch.full((6, 3, 8, 8), float("nan")), hard(), "not finite"),
        (torch.full((6, 3, 8, 8), 1e300, dtype=torch.float64), hard(), "images are not finite"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([0, 0, 0, 1, 2, 2]), "1 to 3 images a class"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([0, 0, 1, 1, 3, 3]), "0 to 2 images a class"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([0, 0, 1, 1, 2, 2**60]), "0 to 1 images a class"),
        (torch.zeros(6, 3, 8, 8), torch.tensor([-1, 0, 0, 1, 2, 2]), "class number -1"),
        (torch.zeros(6, 3, 8, 8), hard() + 0.5, "labels_best.pt.*not class numbers"),
        (torch.zeros(6, 3, 8, 8), hard() / 0.0, "labels_best.pt.*not finite"),
        (torch.zeros(6, 3, 8, 8), torch.zeros(6, 4), "labels_best.pt.*not the same number"),
        (torch.zeros(6, 3, 8, 8), torch.full((6, 3), torch.inf), "labels_best.pt.*not finite"),
        (torch.zeros(6, 3, 8, 8), torch.ones(6, 3).int(), "labels_best.pt.*not one-hot"),
        (torch.zeros(6, 3, 8, 8), [0, 1], "labels_best.pt.*a list, not a tensor"),
        ([1, 2], hard(), "images_best.pt.*a list, not a tensor"),
    ],
)
def test_unfit_tensors_are_reported(
    images: object, labels: object, expected: str, tmp_path: Path
) -> None:
    torch.save(images, tmp_path / "images_best.pt")
    torch.save(labels, tmp_path / "labels_best.pt")
    with pytest.raises(FileError, match=expected):
        tensor_files.read_set([tmp_path / "images_best.pt", tmp_path / "labels_best.pt"])


def write_set(folder: Path, images: object, labels: object) -> list[Path]:
    paths = [folder / "images_best.pt", folder / "labels_best.pt"]
    for path, content in zip(paths, (images, labels), strict=True):
        torch.save(content, path)
    return paths


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_images_of_other_float_types_are_converted(dtype: torch.dtype, tmp_path: Path) -> None:
    foreign = tensor_files.read_set(write_set(tmp_path, official_images().to(dtype), hard()))
    assert foreign.images.dtype == torch.float32
    assert torch.equal(foreign.images, official_images().to(dtype).float())
    assert foreign.notes == (f"images_best.pt: images are {dtype}: converted to torch.float32",)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_logits_of_other_float_types_are_converted(dtype: torch.dtype, tmp_path: Path) -> None:
    foreign = tensor_files.read_set(
        write_set(tmp_path, official_images(), official_logits().to(dtype))
    )
    assert torch.equal(foreign.labels, official_logits().to(dtype).float())
    assert f"labels_best.pt: labels are {dtype}: converted to torch.float32" in foreign.notes


@pytest.mark.parametrize(
    "labels",
    [
        hard().int(),
        hard().to(torch.uint8),
        hard().to(torch.int16),
        hard().float(),
        hard().half(),
        hard()[:, None],
        torch.nn.functional.one_hot(hard()),
        torch.nn.functional.one_hot(hard()).bool(),
    ],
    ids=["int32", "uint8", "int16", "float32", "float16", "[n, 1]", "one-hot", "boolean"],
)
def test_class_numbers_of_other_types_are_converted(labels: torch.Tensor, tmp_path: Path) -> None:
    foreign = tensor_files.read_set(write_set(tmp_path, official_images(), labels))
    assert foreign.labels.dtype == torch.int64
    assert torch.equal(foreign.labels, hard())
    assert torch.equal(foreign.images, official_images())
    (note,) = foreign.notes
    assert note.startswith("labels_best.pt: labels are ")
    assert note.endswith(": read as class numbers")


@pytest.mark.parametrize("soft", [False, True], ids=["class numbers", "logits"])
def test_a_set_in_mixed_order_is_sorted_class_after_class(soft: bool, tmp_path: Path) -> None:
    """Images of a class keep their order."""
    labels = torch.tensor([1, 2, 0, 2, 0, 1])
    order = torch.tensor([2, 4, 0, 5, 1, 3])
    saved = 5 * torch.eye(3)[labels] + official_logits() / 100 if soft else labels
    foreign = tensor_files.read_set(write_set(tmp_path, official_images(), saved))
    assert torch.equal(foreign.labels, saved[order])
    assert torch.equal(foreign.images, official_images()[order])
    (note,) = foreign.notes
    assert note.startswith("labels_best.pt: images and labels are sorted class after class")


def test_learned_labels_that_moved_to_another_class_keep_their_place(tmp_path: Path) -> None:
    """Two of six are largest at each other's class: no sign of another order."""
    labels = torch.eye(3)[torch.tensor([0, 1, 0, 1, 2, 2])]
    foreign = tensor_files.read_set(write_set(tmp_path, official_images(), labels))
    assert torch.equal(foreign.labels, labels)
    assert not foreign.notes


def test_logits_that_cannot_be_sorted_keep_their_order_and_that_is_noted(tmp_path: Path) -> None:
    labels = torch.eye(3)[torch.tensor([2, 2, 2, 0, 0, 1])]
    foreign = tensor_files.read_set(write_set(tmp_path, official_images(), labels))
    assert torch.equal(foreign.labels, labels)
    assert "cannot be sorted" in foreign.notes[0]


def test_pixels_are_read_as_pixels_and_want_their_dataset(tmp_path: Path) -> None:
    pixels = (official_images() * 50).clamp(0, 255).to(torch.uint8)
    foreign = tensor_files.read_set(write_set(tmp_path, pixels, hard()))
    assert torch.equal(foreign.images, pixels)
    with pytest.raises(ConfigError, match="uint8 pixels") as refused:
        imported_sets.without_dataset(foreign, 0.01)
    assert refused.value.fix == Setting("dataset", "cifar10")


def test_tensors_of_a_gpu_are_read_on_the_cpu(tmp_path: Path) -> None:
    paths = write_datm(tmp_path)
    for path in paths:
        with zipfile.ZipFile(path) as archive:
            parts = {info.filename: archive.read(info) for info in archive.infolist()}
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in parts.items():
                archive.writestr(name, content.replace(b"\3\0\0\0cpu", b"\6\0\0\0cuda:0"))
        assert b"cuda:0" in path.read_bytes()
    foreign = tensor_files.read_set(paths)
    assert torch.equal(foreign.images, official_images())
    assert torch.equal(foreign.labels, official_logits())


@pytest.mark.parametrize("rate", [0.5, 1, torch.tensor([0.5]), torch.tensor([[0.5]]).bfloat16()])
def test_a_rate_is_a_number_or_a_tensor_of_one(rate: object, tmp_path: Path) -> None:
    files = write_datm(tmp_path)
    torch.save(rate, files[2])
    assert tensor_files.read_set(files).rate == (1 if rate == 1 else 0.5)


@pytest.mark.parametrize(
    "rate", [torch.tensor(-0.1), torch.tensor(float("nan")), torch.zeros(2), True, "0.1"]
)
def test_a_rate_that_is_none_is_reported(rate: object, tmp_path: Path) -> None:
    files = write_datm(tmp_path)
    torch.save(rate, files[2])
    with pytest.raises(FileError, match="no positive number"):
        tensor_files.read_set(files)
