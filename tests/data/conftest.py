"""Tiny image folders, parquet files, and `load` with the events it gave on the way."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData
from datm_engine.data.description import remaining
from datm_engine.runs.events import Event, Noted
from datm_engine.settings.image_size import Shape
from tests.conftest import dataset_settings

Loaded = tuple[RealData, list[Event]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """`datasets.load` with everything used and nothing held out, unless settings say otherwise."""

    def run(name: str | Path, data_dir: Path = tmp_path / "data", **settings: Any) -> Loaded:
        events: list[Event] = []
        chosen = dataset_settings(name, **settings)
        return datasets.load(chosen, data_dir, emit=events.append), events

    return run


def counted(place: Path, data_dir: Path) -> tuple[int, bool]:
    """Training images that are left, as `load` leaves them, and whether a validation part is known
    of."""
    known = datasets.training_counts(str(place), data_dir=data_dir)
    assert known is not None
    return int(remaining(known, dataset_settings(place)).sum()), "validation" in known.parts


def notes(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, Noted)]


def peek(path: Path) -> Shape:
    return datasets.peek(str(path), data_dir=path.parent / "data")


def count(path: Path) -> int:
    return counted(path, path.parent / "data")[0]


def npz(path: Path, **arrays: Any) -> Path:
    np.savez_compressed(path, **arrays)
    return path


@pytest.fixture
def picture() -> Callable[..., np.ndarray]:
    """Random pixels that are the same for the same seed: [height, width] or [height, width, k]."""

    def draw(seed: int, *shape: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, shape or (6, 6, 3), np.uint8)

    return draw


@pytest.fixture
def folder(tmp_path: Path, picture: Callable[..., np.ndarray]) -> Path:
    """Two classes of 6×6 colour images, losslessly stored: 4 to train on and 2 to test, each."""
    root = tmp_path / "pets"
    seed = 0
    for part, count in (("train", 4), ("test", 2)):
        for name in ("dog", "cat"):
            (root / part / name).mkdir(parents=True)
            for index in range(count):
                image = Image.fromarray(picture(seed))
                image.save(root / part / name / f"{index}.png")
                seed += 1
    return root


LABELS = [1, 0, 1, 0]


def encoded(pixels: np.ndarray) -> bytes:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return content.getvalue()


@pytest.fixture
def write(picture: Callable[..., np.ndarray]) -> Callable[..., None]:
    """A parquet file of 6×6 images; `seed` is the first one's."""
    arrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")

    def to(
        path: Path,
        *,
        seed: int = 0,
        labels: list[int] = LABELS,
        image: str = "img",
        label: str = "label",
        names: list[str] | None = None,
    ) -> None:
        cells = [{"bytes": encoded(picture(seed + i)), "path": None} for i in range(len(labels))]
        columns: dict[str, Any] = {image: cells, label: labels}
        if label == "fine_label":
            columns["coarse_label"] = [0] * len(labels)
        table = arrow.table(columns)
        if names is not None:
            features = {image: {"_type": "Image"}, label: {"names": names, "_type": "ClassLabel"}}
            stated = json.dumps({"info": {"features": features}})
            table = table.replace_schema_metadata({"huggingface": stated})
        path.parent.mkdir(parents=True, exist_ok=True)
        parquet.write_table(table, path)

    return to


@pytest.fixture
def fill(picture: Callable[..., np.ndarray]) -> Callable[..., Path]:
    """A folder with so many 6×6 images, each of its own."""
    drawn = 0

    def run(place: Path, count: int, suffix: str = ".png") -> Path:
        nonlocal drawn
        place.mkdir(parents=True, exist_ok=True)
        for index in range(count):
            Image.fromarray(picture(drawn)).save(place / f"{index}{suffix}")
            drawn += 1
        return place

    return run


@pytest.fixture
def photos(tmp_path: Path, fill: Callable[..., Path]) -> Callable[..., Path]:
    """Class folders of cats and dogs, so many images a class in each part; "" is the root."""

    def run(**parts: int) -> Path:
        root = tmp_path / "photos"
        for part, count in parts.items():
            for name in ("cat", "dog"):
                fill(root / part.replace("root", "") / name, count)
        return root

    return run


def counts(data: RealData) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def agrees(root: Path, data: RealData, tmp_path: Path) -> None:
    """`peek` and `training_images` find what `load` finds without a validation share."""
    shape = datasets.peek(str(root), data_dir=tmp_path)
    assert shape.classes == len(data.class_names)
    assert (shape.channels, shape.height, shape.width) == data.shape
    assert counted(root, tmp_path) == (len(data.train), len(data.validation) > 0)
