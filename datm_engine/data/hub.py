"""Datasets of the Hugging Face Hub by name, hf:OWNER/NAME, through the `datasets` package.

From version 4.0 on it reads data only, and runs no code that a dataset brings.
"""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path
from typing import Any

from datm_engine.data import decoding, parquet
from datm_engine.data.arrays import FullSet, Shape
from datm_engine.data.parquet import Rows
from datm_engine.errors import DataError
from datm_engine.events import Event
from datm_engine.extras import require
from datm_engine.hints import command

PREFIX = "hf:"
SITE = "https://huggingface.co/datasets"


def load(
    name: str, *, data_dir: Path, resolution: decoding.Size | None, skip_damaged: bool = False
) -> Generator[Event, None, FullSet]:
    """Downloaded once, below `data_dir`. Raises DataError, DatmError without the package."""
    splits = _splits(name, data_dir)
    test = next((part for part in parquet.TEST_PARTS if part in splits), None)
    if "train" not in splits or test is None:
        raise DataError(
            f"{name} has the parts {', '.join(splits)}; train and test or validation are needed",
            "--dataset cifar10",
        )
    rows = [_rows(f"{name} {part}", splits[part]) for part in ("train", test)]
    names = _class_names(name, splits["train"])
    return (yield from parquet.from_rows(rows[:1], rows[1:], names, name, resolution, skip_damaged))


def peek(name: str, *, data_dir: Path) -> Shape:
    """Downloads it too. Raises as `load` does."""
    splits = _splits(name, data_dir)
    first = splits[next(iter(splits))]
    rows = _rows(name, first.select(range(1)))
    return parquet.shape_of(rows, _class_names(name, first) or ())


def _splits(name: str, data_dir: Path) -> Any:
    if name == PREFIX:
        raise DataError(f"{PREFIX} names no dataset of the Hub", f"--dataset {PREFIX}ylecun/mnist")
    hub = require("datasets", extra="hub", purpose=f"--dataset {name}")
    try:
        return hub.load_dataset(
            name.removeprefix(PREFIX), cache_dir=str((data_dir / "huggingface").resolve())
        )
    except (OSError, ValueError, RuntimeError) as problem:
        told = " ".join(str(problem).split())[:200]
        look = command("wget", "--spider", f"{SITE}/{name.removeprefix(PREFIX)}")
        raise DataError(f"{name} cannot be had from the Hub: {told}", look) from None


def _rows(place: str, split: Any) -> Rows:
    image, label = parquet.columns(split.column_names, place)
    hub = require("datasets", extra="hub", purpose=f"--dataset {place}")
    plain = split.cast_column(image, hub.Image(decode=False))
    encoded = [_encoded(place, cell) for cell in plain[image]]
    return Rows(place, encoded, [int(value) for value in plain[label]])


def _encoded(place: str, cell: Any) -> bytes:
    """The bytes of one image, which may stand in a file of their own."""
    if isinstance(cell.get("bytes"), bytes):
        content: bytes = cell["bytes"]
        return content
    try:
        return Path(str(cell.get("path"))).read_bytes()
    except OSError as problem:
        wrong = f"{place}: an image cannot be read: {problem.strerror}"
        raise DataError(wrong, command("ls", "-l", str(cell.get("path")))) from None


def _class_names(name: str, split: Any) -> tuple[str, ...] | None:
    _, label = parquet.columns(split.column_names, name)
    names = getattr(split.features[label], "names", None)
    if names is None:
        return tuple(str(number) for number in range(int(max(split[label])) + 1))
    return tuple(str(word) for word in names)
