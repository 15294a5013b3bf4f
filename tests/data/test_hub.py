"""Datasets by their name on the Hub; here from a folder, which `datasets` takes as a name too."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

from datm_engine.data import datasets
from datm_engine.errors import DataError, DatmError, Setting
from datm_engine.hints import fix_text
from datm_engine.runs.events import Noted
from datm_engine.settings.image_size import Shape

from .conftest import LABELS, encoded


def test_a_dataset_of_the_hub(
    tmp_path: Path,
    write: Callable[..., None],
    load: Callable[..., Any],
    picture: Callable[..., np.ndarray],
) -> None:
    pytest.importorskip("datasets")
    root = tmp_path / "pets"
    write(root / "data" / "train-00000-of-00001.parquet", names=["cat", "dog"])
    write(root / "data" / "test-00000-of-00001.parquet", seed=10, names=["cat", "dog"])
    data, _ = load(f"hf:{root}")
    assert data.class_names == ("cat", "dog")
    assert data.train.labels.tolist() == LABELS
    wanted = np.stack([picture(10 + i).transpose(2, 0, 1) for i in range(4)])
    assert np.array_equal(data.test.images.numpy(), wanted)
    assert datasets.peek(f"hf:{root}", data_dir=tmp_path / "data") == Shape(2, 3, 6, 6)


def test_what_is_not_there_is_reported(
    tmp_path: Path, load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("datasets")
    with pytest.raises(DataError, match="cannot be loaded from the Hub"):
        load(f"hf:{tmp_path / 'nothing'}")


def test_without_its_package_it_is_reported(
    load: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(DatmError, match="the dataset hf:a/b takes a package") as result:
        load("hf:a/b")
    assert fix_text(result.value.fix) == "pip install 'datm[hub]'"
    with pytest.raises(DataError, match="names no dataset"):
        load("hf:")


class Image:
    """The feature of `datasets` by that name."""

    def __init__(self, decode: bool = True) -> None:
        self.decode = decode


class ClassLabel:
    def __init__(self, names: list[str]) -> None:
        self.names = names


class Value:
    pass


class Split:
    """A split as `datasets` has it: columns with features."""

    def __init__(self, features: dict[str, Any], **columns: list[Any]) -> None:
        self.features, self.columns, self.column_names = features, columns, list(columns)

    def __getitem__(self, column: str) -> list[Any]:
        return self.columns[column]

    def cast_column(self, column: str, feature: Any) -> Split:
        assert not feature.decode
        return Split({**self.features, column: feature}, **self.columns)

    def select(self, rows: range) -> Split:
        some = {name: [cells[n] for n in rows] for name, cells in self.columns.items()}
        return Split(self.features, **some)


@pytest.fixture
def offer(
    monkeypatch: pytest.MonkeyPatch, picture: Callable[..., np.ndarray]
) -> Callable[..., list[tuple[str, str | None]]]:
    """A stand-in for `datasets` that offers the configurations; what is asked for is listed."""

    def split(labels: list[Any], seed: int, names: list[str] | None) -> Split:
        cells = [{"bytes": encoded(picture(seed + n)), "path": None} for n in range(len(labels))]
        feature = Value() if names is None else ClassLabel(names)
        return Split({"image": Image(), "label": feature}, image=cells, label=labels)

    def offer(
        names: list[str] | None = None, **configurations: dict[str, list[Any]]
    ) -> list[tuple[str, str | None]]:
        asked: list[tuple[str, str | None]] = []

        def load_dataset(path: str, name: str | None = None, *, cache_dir: str) -> dict[str, Split]:
            asked.append((path, name))
            if name is None and len(configurations) > 1:
                raise ValueError(
                    "Config name is missing.\nPlease pick one among the available configs: "
                    f"{list(configurations)}\nExample of usage:\n\t`load_dataset('{path}', 'a')`"
                )
            if name is not None and name not in configurations:
                known = list(configurations)
                raise ValueError(f"BuilderConfig '{name}' not found. Available: {known}")
            chosen = configurations[name or next(iter(configurations))]
            return {
                key: split(labels, 10 * n, names) for n, (key, labels) in enumerate(chosen.items())
            }

        module = ModuleType("datasets")
        module.load_dataset, module.Image = load_dataset, Image  # type: ignore[attr-defined]
        monkeypatch.setitem(sys.modules, "datasets", module)
        return asked

    return offer


def texts(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def test_the_splits_of_the_hub_are_parts_by_any_usual_name(
    offer: Callable[..., Any], load: Callable[..., Any], picture: Callable[..., np.ndarray]
) -> None:
    splits = {"Training": [0, 1, 0], "dev": [1, 0], "testing": [1], "unsupervised": [-1]}
    offer(["cat", "dog"], default=splits)
    data, events = load("hf:a/b")
    assert data.class_names == ("cat", "dog")
    assert (len(data.train), len(data.validation), len(data.test)) == (3, 2, 1)
    assert np.array_equal(data.validation.images[1].numpy(), picture(11).transpose(2, 0, 1))
    assert np.array_equal(data.test.images[0].numpy(), picture(20).transpose(2, 0, 1))
    assert texts(events)[0] == "hf:a/b: of no part that is used, and skipped: unsupervised"


def test_a_test_split_without_labels_leaves_its_place_to_the_validation_split(
    offer: Callable[..., Any], load: Callable[..., Any]
) -> None:
    offer(["cat", "dog"], default={"train": [0, 1], "test": [-1, -1], "validation": [1, 0, 1]})
    data, events = load("hf:a/b")
    assert data.test.labels.tolist() == [1, 0, 1]
    assert len(data.validation) == 0
    assert texts(events)[0] == "hf:a/b: its test part has no labels and is not used"


def test_a_single_split_has_a_share_held_out(
    offer: Callable[..., Any], load: Callable[..., Any], tmp_path: Path
) -> None:
    offer(default={"full": ["dog", "cat"] * 5})
    data, events = load("hf:a/b")
    assert data.class_names == ("cat", "dog")
    assert (len(data.train), len(data.test)) == (8, 2)
    assert "no labelled test part: 2 of 10 images" in texts(events)[0]
    assert datasets.peek("hf:a/b", data_dir=tmp_path) == Shape(2, 3, 6, 6)


def test_one_of_several_configurations_is_chosen_after_a_colon(
    offer: Callable[..., Any], load: Callable[..., Any]
) -> None:
    asked = offer(colour={"train": [0, 1], "test": [0]}, shape={"train": [0, 1], "test": [1, 0]})
    assert len(load("hf:a/b:shape")[0].test) == 2
    assert asked == [("a/b", "shape")]
    for name, lacks in (
        ("hf:a/b", "several configurations"),
        ("hf:a/b:size", "no configuration size"),
    ):
        with pytest.raises(DataError) as error:
            load(name)
        wanted = f"{name} has {lacks}; it has colour, shape"
        assert error.value.message == wanted
        assert error.value.fix == Setting("dataset", "hf:a/b:colour")


def test_labels_of_some_rows_only_are_refused_by_split_and_row(
    offer: Callable[..., Any], load: Callable[..., Any]
) -> None:
    offer(["cat", "dog"], default={"train": [0, 1], "test": [0, -1]})
    with pytest.raises(DataError, match=r"hf:a/b test row 1 has no label \(-1\)"):
        load("hf:a/b")


def test_a_hub_dataset_without_a_train_split_is_refused_with_its_page(
    offer: Callable[..., Any], load: Callable[..., Any]
) -> None:
    offer(["cat", "dog"], default={"test": [0, 1]})
    with pytest.raises(DataError, match="has the splits test, and no train") as error:
        load("hf:a/b")
    assert fix_text(error.value.fix) == "wget --spider https://huggingface.co/datasets/a/b"


def test_one_image_is_read_to_see_the_shape(
    offer: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    offer(["cat", "dog"], default={"train": [0, 1] * 5, "test": [0, 1]})
    read: list[str] = []

    def encoded_image(cell: Any, place: str, *_: Any) -> bytes:
        read.append(place)
        return bytes(cell["bytes"])

    monkeypatch.setattr("datm_engine.data.readers.image_rows.encoded_image", encoded_image)
    assert datasets.peek("hf:a/b", data_dir=tmp_path) == Shape(2, 3, 6, 6)
    assert read == ["hf:a/b train row 0"]
