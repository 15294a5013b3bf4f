"""Arrays in .npz files: names, axes, types of pixels and labels, and what is refused."""

from __future__ import annotations

import io
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from datm_engine.errors import DataError
from datm_engine.hints import fix_text
from datm_engine.settings.image_size import Shape

from .conftest import count, notes, npz, peek

Load = Callable[..., Any]

Picture = Callable[..., np.ndarray]

LABELS = np.array([[0], [1], [2], [0], [1], [2]])


def test_the_keys_of_medmnist_are_three_parts(tmp_path: Path, load: Load, picture: Picture) -> None:
    path = npz(
        tmp_path / "pathmnist.npz",
        train_images=picture(0, 6, 5, 7, 3),
        train_labels=LABELS.astype(np.uint8),
        val_images=picture(1, 3, 5, 7, 3),
        val_labels=LABELS[:3],
        test_images=picture(2, 2, 5, 7, 3),
        test_labels=LABELS[:2],
    )
    data, _ = load(path)
    assert (data.name, data.class_names) == ("pathmnist", ("0", "1", "2"))
    for part, seed, n in ((data.train, 0, 6), (data.validation, 1, 3), (data.test, 2, 2)):
        wanted = picture(seed, n, 5, 7, 3).transpose(0, 3, 1, 2)
        assert np.array_equal(part.images.numpy(), wanted)
        assert part.labels.tolist() == LABELS[:n, 0].tolist()
    assert (peek(path), count(path)) == (Shape(3, 3, 5, 7), 6)
    assert load(path, resolution="4x8")[0].shape == (3, 8, 4)


@pytest.mark.parametrize("shape", [(5, 7), (5, 7, 1), (1, 5, 7), (5, 7, 3), (3, 5, 7)])
def test_the_keys_of_keras_in_any_layout(
    shape: tuple[int, ...], tmp_path: Path, load: Load, picture: Picture
) -> None:
    images = picture(0, 6, *shape)
    path = npz(
        tmp_path / "k.npz", x_train=images, y_train=LABELS[:, 0], x_test=images, y_test=LABELS[:, 0]
    )
    data, _ = load(path)
    wanted = images.transpose(0, 3, 1, 2) if shape[-1] in (1, 3) else images
    assert np.array_equal(data.test.images.numpy(), wanted.reshape(6, -1, 5, 7))
    channels = 3 if 3 in shape else 1
    assert peek(path) == Shape(3, channels, 5, 7)


def test_one_part_has_a_share_held_out(tmp_path: Path, load: Load, picture: Picture) -> None:
    path = npz(tmp_path / "k.npz", images=picture(0, 10, 4, 4), labels=np.arange(10) % 2)
    data, events = load(path)
    assert (len(data.train), len(data.test)) == (8, 2)
    assert "k has no labelled test part: 2 of 10" in notes(events)[0]


@pytest.mark.parametrize(
    ("images", "wanted", "note"),
    [
        (np.array([0, 0.5, 1, 0.2]), [0, 128, 255, 51], "pixels from 0 to 1 are multiplied by 255"),
        (np.array([0, 128.0, 255, 3]), [0, 128, 255, 3], None),
        (np.array([0, 1, 255, 3], np.int32), [0, 1, 255, 3], None),
        (np.array([0, 4095, 2048, 1], np.uint16), [0, 255, 128, 0], "up to 4095 are read as 12 bi"),
        (np.array([0, 600, 1023, 1], np.int64), [0, 150, 255, 0], "up to 1023 are read as 10 bits"),
        (np.array([0, 65535, 257, 1], np.uint16), [0, 255, 1, 0], "up to 65535 are read as 16 bi"),
        (np.array([False, True, True, False]), [0, 255, 255, 0], None),
    ],
)
def test_pixels_of_other_types_become_bytes_by_one_rule_for_all_parts(
    images: Any, wanted: list[int], note: str | None, tmp_path: Path, load: Load
) -> None:
    drawn = np.broadcast_to(images[:, None, None], (4, 4, 4))
    low = np.zeros_like(drawn)  # a part of its own range would be scaled otherwise
    path = npz(
        tmp_path / "k.npz",
        x_train=low,
        y_train=[0, 1, 0, 1],
        x_test=drawn,
        y_test=[0, 1, 0, 1],
    )
    data, events = load(path)
    assert data.test.images[:, 0, 0, 0].tolist() == wanted
    assert data.train.images.max() == 0
    assert (note is None and not notes(events)) or note in notes(events)[0]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": np.zeros((4, 4, 4))}, "has arrays x_train; it takes train_images"),
        ({"x": np.full((4, 4, 4), -1.0), "y": [0, 1, 0, 1]}, "pixels from -1 to -1, whose range"),
        ({"x": np.full((4, 4, 4), 1.5), "y": [0, 1, 0, 1]}, "pixels from 1.5 to 1.5, whose range"),
        ({"x": np.full((4, 4, 4), np.nan), "y": [0, 1, 0, 1]}, "pixels from nan to nan"),
        ({"x": np.zeros((4, 16)), "y": [0, 1, 0, 1]}, r"is \[4, 16\], and images are \[n, height"),
        ({"x": np.zeros((4, 4, 4, 4)), "y": [0, 1, 0, 1]}, r"is \[4, 4, 4, 4\], and images are"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, 0]}, "has 4 images but 3 labels"),
        ({"x": np.zeros((0, 4, 4)), "y": []}, "has no labels in its train part"),
        ({"x": np.zeros((4, 4, 4)), "y": np.eye(4)[[0, 1, 2, 2]] + np.eye(4)}, "several an image"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, 2, 0.5]}, "row 3 has the label 0.5"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 0, 0, 0]}, "has 1 class, at least 2"),
        ({"x": np.zeros((4, 4, 4)), "y": [0, 1, -1, 0]}, "row 2 has no label"),
        ({"x": np.array(["a"] * 4), "y": [0, 1, 0, 1]}, r"is \[4\], and images are"),
        ({"x": np.zeros((4, 4, 4)), "y": np.array([{}] * 4)}, "cannot be loaded when allow_pickle"),
        ({"x_test": np.zeros((4, 4, 4)), "y_test": [0, 1, 0, 1]}, "has no train part, only test"),
    ],
)
def test_arrays_that_are_no_dataset_are_refused(
    arrays: dict[str, Any], message: str, tmp_path: Path, load: Load
) -> None:
    with pytest.raises(DataError, match=message) as error:
        load(npz(tmp_path / "k.npz", **arrays))
    assert str(tmp_path / "k.npz") in fix_text(error.value.fix)
    assert "\n" not in error.value.message


def test_one_hot_labels_and_labels_from_1_are_class_numbers(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    images = picture(0, 4, 4, 4)
    one_hot = load(npz(tmp_path / "k.npz", x=images, y=np.eye(2)[[0, 1, 1, 0]]), test=0.5)[0]
    assert torch_list(one_hot) == {0: 1, 1: 1}
    from_1 = load(npz(tmp_path / "l.npz", x=images, y=[1, 2, 2, 1]), test=0.5)[0]
    assert from_1.class_names == ("1", "2")
    assert from_1.train.labels.equal(one_hot.train.labels)


def torch_list(data: Any) -> dict[int, int]:
    return {label: data.train.labels.tolist().count(label) for label in (0, 1)}


class Evil:
    """What runs code where a pickle of it is read."""

    def __reduce__(self) -> Any:
        return os.mkdir, ("ran",)


def test_pickles_in_arrays_never_run(
    tmp_path: Path, load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    bad = np.array([Evil(), Evil()], dtype=object)
    np.savez(tmp_path / "k.npz", x=bad, y=np.array([0, 1]))
    (tmp_path / "plain.npz").write_bytes(pickle.dumps(Evil()))
    for name in ("k.npz", "plain.npz"):
        with pytest.raises(DataError):
            load(tmp_path / name)
    assert not (tmp_path / "ran").exists()


def test_files_of_arrays_that_are_damaged_are_refused(tmp_path: Path, load: Load) -> None:
    content = io.BytesIO()
    np.savez(content, x=np.zeros((4, 4, 4), np.uint8), y=np.array([0, 1, 0, 1]))
    path = tmp_path / "k.npz"
    for kept in (0, 10, 200, len(content.getvalue()) - 30):
        path.write_bytes(content.getvalue()[:kept])
        for attempt in (load, peek, count):
            with pytest.raises(DataError, match=r"k\.npz is no \.npz file of arrays, or damaged"):
                attempt(path)


def test_arrays_that_are_not_used_are_named_in_one_note(
    tmp_path: Path, load: Load, picture: Picture
) -> None:
    x, y = picture(0, 6, 4, 4), LABELS[:, 0]
    arrays = {"x_train": x, "y_train": y, "x_test": x, "extra_images": x}
    wanted = "k: arrays that are not used: x_test, extra_images"
    assert notes(load(npz(tmp_path / "k.npz", **arrays))[1])[0] == wanted
    savemat(tmp_path / "k.mat", arrays)
    assert notes(load(tmp_path / "k.mat")[1])[0] == wanted
    both = npz(tmp_path / "both.npz", images=x, data=x, labels=y)
    assert notes(load(both)[1])[0] == "both: arrays that are not used: data"
