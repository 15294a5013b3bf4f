"""Tiny image folders, and `load` with the events it gave on the way."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from datm_engine.data import datasets
from datm_engine.data.datasets import RealData
from datm_engine.events import Event

Loaded = tuple[RealData, list[Event]]


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Loaded]:
    """`datasets.load` with everything used and nothing held out, unless told otherwise."""

    def run(name: str | Path, **settings: Any) -> Loaded:
        plain = {
            "data_dir": tmp_path / "data",
            "resolution": "native",
            "train_images": "all",
            "validation": 0.0,
            "seed": 0,
        }
        steps = datasets.load(str(name), **(plain | settings))
        events: list[Event] = []
        while True:
            try:
                events.append(next(steps))
            except StopIteration as end:
                return end.value, events

    return run


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
