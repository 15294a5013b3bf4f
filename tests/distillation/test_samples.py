"""Which images samples show, and what their files hold."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from datm_engine.data.preprocessing import Normalization
from datm_engine.distillation.samples import SAMPLE_BYTES, sampled, save_sample


def test_all_images_where_they_are_few() -> None:
    assert sampled(torch.zeros(6, 1, 8, 8), classes=3).tolist() == list(range(6))


def test_the_first_of_every_class_where_they_are_many() -> None:
    images = torch.zeros(1, 3, 64, 64).expand(400, -1, -1, -1)
    indices = sampled(images, classes=4)
    few = SAMPLE_BYTES // (4 * 3 * 64 * 64)
    assert indices.tolist() == [100 * c + k for c in range(4) for k in range(few)]


def test_never_less_than_one_of_every_class() -> None:
    images = torch.zeros(1, 3, 64, 64).expand(600, -1, -1, -1)
    assert sampled(images, classes=200).tolist() == list(range(0, 600, 3))


def test_what_a_sample_holds(tmp_path: Path) -> None:
    plain = Normalization(torch.zeros(1), torch.ones(1))
    images = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 1, 8, 8).contiguous()
    save_sample(tmp_path / "one", images, plain, classes=2, iteration=7)
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert file.metadata()["iteration"] == "7"
        assert file.get_tensor("indices").tolist() == [0, 1, 2, 3]
        assert file.get_tensor("pictures")[:, 0, 0, 0].tolist() == [0, 85, 170, 255]
