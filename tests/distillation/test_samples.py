"""Which images samples show, and what their files hold."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open

from datm_engine.data.image_sets import ImageSet
from datm_engine.data.preprocessing import Normalization
from datm_engine.distillation.samples import (
    FEWEST,
    MOST,
    SAMPLE_BYTES,
    SAMPLES_BYTES,
    START_BYTES,
    sampled,
    save_real,
    save_sample,
    save_start,
    spacing,
    thin,
)
from datm_engine.summary import read_pictures


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


def test_a_sample_states_what_its_images_are_taken_for(tmp_path: Path) -> None:
    plain = Normalization(torch.zeros(1), torch.ones(1))
    logits = torch.tensor([[0.0, 3.0], [4.0, 0.0]])
    save_sample(tmp_path / "one", torch.zeros(2, 1, 8, 8), plain, 2, 7, logits)
    with safe_open(tmp_path / "one", framework="pt") as file:
        assert file.get_tensor("taken_for").tolist() == [1, 0]
        torch.testing.assert_close(
            file.get_tensor("probability"), torch.tensor([3.0, 4.0]).sigmoid()
        )


def test_real_images_are_the_first_of_each_class(tmp_path: Path) -> None:
    plain = Normalization(torch.zeros(1), torch.ones(1))
    images = torch.linspace(0, 1, 4)[:, None, None, None].expand(4, 1, 8, 8).contiguous()
    real = ImageSet(images, torch.tensor([1, 0, 1, 0]))
    save_real(tmp_path / "real", real, plain, ["cat", "dog"])
    with safe_open(tmp_path / "real", framework="pt") as file:
        assert file.metadata()["class_names"] == '["cat", "dog"]'
        assert file.get_tensor("pictures")[:, 0, 0, 0].tolist() == [85, 0]


def test_samples_are_bounded_however_many_iterations() -> None:
    for size in (1, 100_000, SAMPLE_BYTES, 10 * SAMPLES_BYTES):
        for iteration in (1, 10, 999, 10_000, 10**6):
            between = spacing(1, iteration, size)
            kept = iteration // between
            assert kept <= MOST
            assert kept * size <= SAMPLES_BYTES or kept <= FEWEST
            assert kept >= min(iteration, FEWEST // 2)
    assert spacing(50, 200, 640) == 50, "a short run keeps all of them"


def test_thinning_leaves_the_same_whenever_it_begins(tmp_path: Path) -> None:
    """Also where a run resumed from an iteration before the last thinning."""

    def go(folder: Path, iterations: list[int]) -> set[str]:
        folder.mkdir(exist_ok=True)
        for iteration in iterations:
            between = spacing(1, iteration, SAMPLES_BYTES // 6)
            if iteration % between == 0:
                (folder / f"{iteration:06d}.safetensors").touch()
                thin(folder, between)
        return {path.stem for path in folder.iterdir()}

    whole = go(tmp_path / "whole", list(range(1, 41)))
    again = go(tmp_path / "again", [*range(1, 30), *range(5, 41)])
    assert whole == again == {"000008", "000016", "000024", "000032", "000040"}


def test_thinning_takes_samples_only(tmp_path: Path) -> None:
    for name in ("initial.safetensors", "000003.safetensors", "000003.txt"):
        (tmp_path / name).touch()
    thin(tmp_path, 2)
    assert {path.name for path in tmp_path.iterdir()} == {"initial.safetensors", "000003.txt"}


def test_a_start_of_many_images_shows_the_first_of_every_class(tmp_path: Path) -> None:
    few = torch.zeros(6, 1, 4, 4, dtype=torch.uint8)
    save_start(tmp_path / "few", few, classes=2)
    many = torch.zeros(1, 3, 64, 64, dtype=torch.uint8).expand(4000, -1, -1, -1)
    save_start(tmp_path / "many", many, classes=4)
    with safe_open(tmp_path / "few", framework="pt") as file:
        assert list(file.keys()) == ["pictures"]
    with safe_open(tmp_path / "many", framework="pt") as file:
        each = START_BYTES // (4 * 3 * 64 * 64)
        assert file.get_tensor("indices").tolist()[each - 1 : each + 1] == [each - 1, 1000]
    assert (tmp_path / "many").stat().st_size < 1.01 * START_BYTES
    assert read_pictures(tmp_path / "many") is None, "it is not the start of all"
