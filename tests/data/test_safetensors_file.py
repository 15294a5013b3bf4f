"""A file of arrays as a dataset: read as it is, and refused with the reason when it is wrong."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from datm_engine.data import datasets
from datm_engine.data.datasets import ImageSet, RealData, Shape
from datm_engine.errors import DataError
from datm_engine.hints import fix_text

Load = Callable[..., tuple[RealData, list[Any]]]


def arrays() -> dict[str, Tensor]:
    draws = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (9, 3, 4, 5), generator=draws, dtype=torch.uint8)
    return {
        "train.images": images[:6].clone(),
        "train.labels": torch.tensor([0, 1, 2, 0, 1, 2]),
        "test.images": images[6:].clone(),
        "test.labels": torch.tensor([2, 1, 0]),
    }


NAMES = {"class_names": json.dumps(["cat", "dog", "écureuil"])}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "pets.safetensors"
    save_file(arrays(), path, metadata=NAMES)
    return path


def test_arrays_are_used_as_they_are(load: Load, path: Path) -> None:
    pets, events = load(path)
    assert pets.name == "pets"
    assert pets.class_names == ("cat", "dog", "écureuil")
    assert pets.shape == (3, 4, 5)
    assert pets.train.images.equal(arrays()["train.images"])
    assert pets.test.labels.tolist() == [2, 1, 0]
    assert events == []
    assert load(path, resolution=8)[0].shape == (3, 8, 8)


def test_arrays_without_a_test_part_have_a_share_of_each_class_held_out(
    load: Load, path: Path
) -> None:
    images = torch.arange(20, dtype=torch.uint8)[:, None, None, None].expand(20, 1, 4, 4)
    labels = torch.arange(20) % 2
    save_file(
        {"train.images": images.contiguous(), "train.labels": labels},
        path,
        metadata={"class_names": json.dumps(["a", "b"])},
    )
    whole, events = load(path)
    assert (len(whole.train), len(whole.test)) == (16, 4)
    assert torch.bincount(whole.test.labels).tolist() == [2, 2]
    together = torch.cat([whole.train.images, whole.test.images])[:, 0, 0, 0]
    assert sorted(together.tolist()) == list(range(20))
    assert "4 of 20 images, 20% of each class, are held out" in events[0].text
    assert load(path)[0].test.images.equal(whole.test.images)
    assert not load(path, seed=1)[0].test.images.equal(whole.test.images)
    assert len(load(path, test=0.5)[0].test) == 10


def test_a_validation_part_of_arrays_is_the_validation_part(load: Load, path: Path) -> None:
    own = {"validation.images": arrays()["test.images"], "validation.labels": torch.arange(3)}
    save_file(arrays() | own, path, metadata=NAMES)
    pets, events = load(path, validation=0.5)
    assert (len(pets.train), len(pets.validation), len(pets.test)) == (6, 3, 3)
    assert pets.validation.labels.tolist() == [0, 1, 2]
    assert "a validation part of 3 images: it is used" in events[0].text


def test_peeking_reads_the_header_alone(path: Path, tmp_path: Path) -> None:
    assert datasets.peek(str(path), data_dir=tmp_path) == Shape(3, 3, 4, 5)


def test_a_folder_may_be_named_like_such_a_file(load: Load, folder: Path) -> None:
    renamed = folder.rename(folder.with_suffix(".safetensors"))
    assert load(renamed)[0].name == "pets.safetensors"


WRONG: dict[str, tuple[dict[str, Tensor | None], str]] = {
    "a missing key": ({"test.labels": None}, "it lacks test.labels"),
    "missing keys": (
        {"train.labels": None, "train.images": None},
        "it lacks train.images, train.labels",
    ),
    "floating point images": ({"train.images": torch.zeros(6, 3, 4, 5)}, "train.images is F32"),
    "images without channels": (
        {"train.images": torch.zeros(6, 4, 5, dtype=torch.uint8)},
        "train.images is U8",
    ),
    "channels last": (
        {"train.images": torch.zeros(6, 4, 5, 3, dtype=torch.uint8)},
        "train.images is of shape",
    ),
    "one-hot labels": ({"train.labels": torch.zeros(6, 3).long()}, "train.labels is I64"),
    "labels of another type": (
        {"test.labels": torch.zeros(3, dtype=torch.int32)},
        "test.labels is I32",
    ),
    "too few labels": ({"train.labels": torch.zeros(5).long()}, "6 images but 5 labels"),
    "test images of another size": (
        {"test.images": torch.zeros(3, 3, 4, 4, dtype=torch.uint8)},
        "differ in shape",
    ),
    "no test images": (
        {
            "test.images": torch.zeros(0, 3, 4, 5, dtype=torch.uint8),
            "test.labels": torch.zeros(0).long(),
        },
        "test.images is of shape",
    ),
}
WRONG_LABELS: dict[str, tuple[dict[str, Tensor | None], str]] = {
    "a label too large": ({"test.labels": torch.tensor([0, 1, 3])}, "3, outside 0 to 2"),
    "a negative label": ({"train.labels": torch.tensor([0, 1, 2, 0, 1, -1])}, "-1, outside"),
    "a class never seen": ({"train.labels": torch.tensor([0, 1, 1, 0, 1, 1])}, "of class écur"),
}


@pytest.mark.parametrize("case", [*WRONG, *WRONG_LABELS])
def test_arrays_that_do_not_fit_are_refused(
    load: Load, path: Path, tmp_path: Path, case: str
) -> None:
    changes, said = (WRONG | WRONG_LABELS)[case]
    changed = {key: tensor for key, tensor in (arrays() | changes).items() if tensor is not None}
    save_file(changed, path, metadata=NAMES)
    with pytest.raises(DataError, match=f"{path} cannot be used as a dataset: .*{said}") as error:
        load(path)
    assert "in the metadata class_names, a JSON list" in error.value.message
    assert fix_text(error.value.fix) == "--help"
    if case in WRONG:
        with pytest.raises(DataError, match=said):
            datasets.peek(str(path), data_dir=tmp_path)


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        (None, "no class_names"),
        ({"class_names": "cat, dog"}, "no JSON list"),
        ({"class_names": '{"cat": 0}'}, "no JSON list"),
        ({"class_names": "[0, 1, 2]"}, "no JSON list"),
        ({"class_names": '["cat"]'}, "at least 2"),
        ({"class_names": '["cat", "dog"]'}, "outside 0 to 1"),
    ],
)
def test_class_names_that_do_not_fit_are_refused(
    load: Load, path: Path, metadata: dict[str, str] | None, said: str
) -> None:
    save_file(arrays(), path, metadata=metadata)
    with pytest.raises(DataError, match=said):
        load(path)


@pytest.mark.parametrize("kept", [0, 5, 100, -1])
def test_a_file_cut_short_is_named(load: Load, path: Path, tmp_path: Path, kept: int) -> None:
    path.write_bytes(path.read_bytes()[:kept])
    for attempt in (lambda: load(path), lambda: datasets.peek(str(path), data_dir=tmp_path)):
        with pytest.raises(DataError, match=f"{path} cannot be read") as error:
            attempt()
        assert str(path) in fix_text(error.value.fix)


def test_a_file_that_may_not_be_read_is_named(load: Load, path: Path) -> None:
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(DataError, match="Permission denied"):
        load(path)


def test_an_image_set_is_as_long_as_its_labels() -> None:
    assert len(ImageSet(torch.zeros(3, 1, 2, 2, dtype=torch.uint8), torch.zeros(3).long())) == 3
