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
from datm_engine.runs.events import Event
from tests.conftest import dataset_settings

Loaded = tuple[RealData, list[Event]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """`datasets.load` with everything used and nothing held out, unless told otherwise."""

    def run(name: str | Path, data_dir: Path = tmp_path / "data", **settings: Any) -> Loaded:
        events: list[Event] = []
        chosen = dataset_settings(name, **settings)
        return datasets.load(chosen, data_dir, emit=events.append), events

    return run


def counted(place: Path, data_dir: Path) -> tuple[int, bool]:
    """Training images that are left, as `load` leaves them, and whether a validation part is known
    of."""
    known = datasets.training_labels(str(place), data_dir=data_dir)
    assert known is not None
    return remaining(known, dataset_settings(place)).total, known.has_validation


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
