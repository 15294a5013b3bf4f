"""What is said of a distilled set agrees with the definitions of what is said."""

from __future__ import annotations

import json
import math

import pytest
import torch
from safetensors.torch import save_file

from datm_engine.data.preprocessing import Normalization, Whitening
from datm_engine.errors import FileError
from datm_engine.summary import pictures_of, read_pictures, summarize
from datm_engine.synthetic import SyntheticSet

NAMES = ("ant", "bee", "cow", "dog")


def synthetic(labels=None, *, ipc=2, preprocessing=None, **fields):
    generator = torch.Generator().manual_seed(0)
    n = ipc * len(NAMES)
    if labels is None:
        labels = torch.randn(n, len(NAMES), generator=generator)
    settings = {
        "images": torch.randn(n, 3, 5, 4, generator=generator),
        "labels": labels,
        "syn_lr": 0.25,
        "preprocessing": preprocessing or Normalization(torch.full((3,), 0.5), torch.ones(3) / 4),
        "dataset": "farm",
        "class_names": NAMES,
        "iteration": 30,
        "augmentation": ("flip",),
    }
    return SyntheticSet(**{**settings, **fields})


def test_the_plain_facts():
    summary = summarize(synthetic())
    assert summary.dataset == "farm"
    assert (summary.ipc, summary.classes, summary.shape) == (2, 4, (8, 3, 5, 4))
    assert summary.class_names == NAMES
    assert (summary.syn_lr, summary.iteration) == (0.25, 30)
    assert (summary.preprocessing, summary.augmentation) == ("normalize", ("flip",))
    assert [image.class_name for image in summary.images] == [n for n in NAMES for _ in range(2)]
    assert [image.index for image in summary.images] == list(range(8))


def test_pixels_are_those_the_student_sees():
    images = torch.tensor([-2.0, 0.0, 2.0, 4.0]).reshape(4, 1, 1, 1)
    pixels = summarize(synthetic(torch.eye(4), ipc=1, images=images)).pixels
    assert (pixels.min, pixels.max, pixels.mean) == (-2.0, 4.0, 1.0)
    assert pixels.std == pytest.approx(math.sqrt((9 + 1 + 1 + 9) / 4))


def test_entropy_is_minus_the_sum_of_p_log_p():
    distilled = synthetic()
    for image, logits in zip(summarize(distilled).images, distilled.labels.tolist(), strict=True):
        total = sum(math.exp(x) for x in logits)
        shares = [math.exp(x) / total for x in logits]
        nats = -sum(p * math.log(p) for p in shares)
        assert image.entropy == pytest.approx(nats)
        assert image.entropy_share == pytest.approx(nats / math.log(4))
        own = shares[NAMES.index(image.class_name)]
        assert image.own == pytest.approx(own)


def test_entropy_is_nothing_for_a_sure_label_and_all_for_an_even_one():
    labels = torch.zeros(8, 4)
    labels[:4, 0] = 1e4
    summary = summarize(synthetic(labels))
    assert [image.entropy for image in summary.images[:4]] == [0.0] * 4
    assert [image.entropy_share for image in summary.images[4:]] == pytest.approx([1.0] * 4)
    assert summary.entropy_share == pytest.approx(0.5)
    assert summary.entropy == pytest.approx(math.log(4) / 2)


def test_top_classes_come_in_order_and_strays_are_counted():
    labels = torch.tensor([[3.0, 2.0, 1.0, 0.0]]).repeat(8, 1)
    summary = summarize(synthetic(labels))
    assert summary.led_by_other == 6, "all but the two ants"
    assert [image.is_led_by_own_class for image in summary.images] == [True] * 2 + [False] * 6
    top = summary.images[5].top
    assert [share.name for share in top] == ["ant", "bee", "cow"]
    assert [share.probability for share in top] == pytest.approx(
        labels[5].softmax(dim=0)[:3].tolist()
    )


def test_two_classes_have_two_top_classes():
    summary = summarize(
        synthetic(torch.eye(2), ipc=1, images=torch.zeros(2, 1, 2, 2), class_names=("a", "b"))
    )
    assert [len(image.top) for image in summary.images] == [2, 2]


def test_change_is_the_root_mean_square_as_the_student_sees_it():
    distilled = synthetic()
    start = distilled.images.clone()
    start[3] += 0.5
    start[4, 0] -= 3.0  # one channel of three
    summary = summarize(distilled, start)
    change = [image.change for image in summary.images]
    assert change[3] == pytest.approx(0.5)
    assert change[4] == pytest.approx(math.sqrt(9 / 3))
    assert change[:3] + change[5:] == [0.0] * 6
    assert summary.change == pytest.approx((0.5 + math.sqrt(3)) / 8)
    assert summary.change_space == "student"


def test_pictures_of_the_start_are_compared_as_pictures():
    distilled = synthetic()
    start = distilled.pictures()
    unchanged = summarize(distilled, start)
    assert [image.change for image in unchanged.images] == [0.0] * 8
    start[2] = 255 - start[2]
    summary = summarize(distilled, start)
    difference = (distilled.pictures()[2].float() - start[2].float()) / 255
    assert summary.images[2].change == pytest.approx(difference.square().mean().sqrt().item())
    assert summary.images[2].change > 0.1
    assert summary.change_space == "picture"


def test_without_a_start_no_change_is_claimed():
    summary = summarize(synthetic())
    assert summary.change is None
    assert summary.change_space is None
    assert {image.change for image in summary.images} == {None}


def test_a_start_of_another_shape_is_refused():
    with pytest.raises(ValueError, match=r"\[7, 3, 5, 4\]"):
        summarize(synthetic(), torch.zeros(7, 3, 5, 4))


def test_a_summary_is_json_whatever_the_numbers():
    distilled = synthetic(syn_lr=math.nan)
    distilled.images[0, 0, 0, 0] = math.inf
    facts = json.loads(json.dumps(summarize(distilled).as_json(), allow_nan=False))
    assert facts["syn_lr"] is None
    assert facts["pixels"]["max"] is None
    assert facts["shape"] == [8, 3, 5, 4]
    assert facts["images"][7]["class_name"] == "dog"
    assert set(facts["images"][7]["top"][0]) == {"name", "probability"}


@pytest.mark.parametrize("clip", [2.5, None])
def test_pictures_of_some_images_are_those_of_all(clip):
    real = torch.randint(0, 256, (30, 3, 5, 4), dtype=torch.uint8)
    distilled = synthetic(preprocessing=Whitening.fit(real, 0.1))
    some = pictures_of(distilled, [5, 0, 6], clip=clip)
    # Matrix products of other sizes may round the last bit of a pixel the other way.
    difference = some.int() - distilled.pictures(clip=clip)[[5, 0, 6]].int()
    assert difference.abs().max() <= 1


def test_pictures_are_read_if_there_are_any(tmp_path):
    pictures = torch.arange(24, dtype=torch.uint8).reshape(2, 3, 2, 2)
    save_file({"pictures": pictures}, tmp_path / "initial.safetensors")
    assert torch.equal(read_pictures(tmp_path / "initial.safetensors"), pictures)
    assert read_pictures(tmp_path / "none.safetensors") is None
    (tmp_path / "bad.safetensors").write_bytes(b"half a file")
    save_file({"other": pictures}, tmp_path / "other.safetensors")
    for name in ("bad", "other"):
        with pytest.raises(FileError, match=f"{name}.safetensors"):
            read_pictures(tmp_path / f"{name}.safetensors")
