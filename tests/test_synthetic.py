"""The product: what is saved is loaded, is all that training takes, and damage is reported."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from datm_engine.compute.runtime import generator
from datm_engine.data import preprocessing
from datm_engine.errors import FileError
from datm_engine.hints import fix_text
from datm_engine.synthetic import FORMAT, SyntheticSet
from datm_engine.tensors import save_tensors


def pixels(n: int) -> torch.Tensor:
    return torch.randint(0, 256, (n, 3, 4, 4), dtype=torch.uint8, generator=generator(0, n))


def example(kind: str = "zca") -> SyntheticSet:
    return SyntheticSet(
        images=torch.randn(6, 3, 4, 4, generator=generator(1)),
        labels=torch.randn(6, 3, generator=generator(2)),
        syn_lr=0.0625,
        preprocessing=preprocessing.fit(kind, pixels(90), 0.1),
        dataset="somewhere/images",
        class_names=("cat", "dog", "fünf"),
        iteration=7,
        augmentation=("flip",),
        config={"distill": {"ipc": 2}},
    )


@pytest.mark.parametrize("kind", ["zca", "normalize"])
def test_saved_and_loaded(kind: str, tmp_path: Path) -> None:
    made = example(kind)
    made.save(tmp_path / "set.safetensors")
    found = SyntheticSet.load(tmp_path / "set.safetensors")
    assert torch.equal(found.images, made.images)
    assert torch.equal(found.labels, made.labels)
    for name in ("syn_lr", "dataset", "class_names", "iteration", "augmentation", "config"):
        assert getattr(found, name) == getattr(made, name)
    assert torch.equal(found.preprocess(pixels(5)), made.preprocess(pixels(5)))


def test_it_is_all_that_training_takes(tmp_path: Path) -> None:
    example().save(tmp_path / "set.safetensors")
    found = SyntheticSet.load(tmp_path / "set.safetensors")
    loader = torch.utils.data.DataLoader(found.as_dataset(), batch_size=4)
    images, labels = next(iter(loader))
    assert images.shape == (4, 3, 4, 4)
    assert torch.allclose(labels.sum(1), torch.ones(4))
    assert (found.ipc, found.classes.tolist()) == (2, [0, 0, 1, 1, 2, 2])


def test_preprocess_is_that_of_the_training_images() -> None:
    made = example()
    from_bytes, from_unit = made.preprocess(pixels(5)), made.preprocess(pixels(5) / 255)
    assert torch.allclose(from_bytes, from_unit, atol=1e-6)
    assert torch.allclose(made.preprocessing.invert(from_bytes), pixels(5) / 255, atol=1e-5)


def test_pictures_undo_it() -> None:
    real = pixels(6)
    seen = example().preprocess(real)
    shown = SyntheticSet(**{**vars(example()), "images": seen}).pictures(clip=None)
    assert int((shown.int() - real.int()).abs().max()) <= 1


def test_pictures_clip_outliers() -> None:
    made = example("normalize")
    made.images[0, 0, 0, 0] = 1000.0
    clipped = made.pictures()
    limit = made.images[0].mean() + 2.5 * made.images[0].std()
    mean, std = made.preprocessing.mean[0], made.preprocessing.std[0]  # type: ignore[union-attr]
    expected = (limit * std + mean).clamp(0, 1) * 255
    assert int(clipped[0, 0, 0, 0]) == round(float(expected))


def _save(path: Path, **change: Any) -> None:
    made = example()
    SyntheticSet(**{**vars(made), **change}).save(path)


def test_damage_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    with pytest.raises(FileError, match="no such file"):
        SyntheticSet.load(path)
    path.write_bytes(b"junk")
    with pytest.raises(FileError, match="cannot be read"):
        SyntheticSet.load(path)
    save_tensors(path, {"a": torch.zeros(2)}, {})
    with pytest.raises(FileError, match="is not a distilled set"):
        SyntheticSet.load(path)
    save_tensors(path, {"images": torch.zeros(2)}, {"format": FORMAT})
    with pytest.raises(FileError, match="cannot be read as a distilled set"):
        SyntheticSet.load(path)
    for change in (
        {"labels": torch.zeros(5, 3)},
        {"labels": torch.zeros(6, 4)},
        {"images": torch.zeros(5, 3, 4, 4), "labels": torch.zeros(5, 3)},
        {"images": torch.zeros(0, 3, 4, 4), "labels": torch.zeros(0, 3)},
        {"images": torch.full((6, 3, 4, 4), torch.nan)},
        {"images": torch.zeros(6, 3, 5, 5)},
        {"images": torch.zeros(6, 1, 4, 4)},
        {"images": torch.zeros(9, 3, 4, 4), "labels": torch.zeros(9, 3)},
        {"syn_lr": float("nan")},
        {"syn_lr": 0.0},
        {"syn_lr": -0.1},
        {"preprocessing": preprocessing.fit("normalize", pixels(90)[:, :1], 0.1)},
        {"config": {"distill": 3}},
    ):
        _save(path, **change)
        with pytest.raises(FileError, match="cannot be read as a distilled set"):
            SyntheticSet.load(path)


def test_a_bit_that_flipped_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "set.safetensors"
    example().save(path)
    content = bytearray(path.read_bytes())
    content[-50] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="is not what was written") as raised:
        SyntheticSet.load(path)
    assert fix_text(raised.value.fix) == f"ls -l {path}"
