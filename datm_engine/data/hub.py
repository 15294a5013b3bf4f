"""Datasets of the Hugging Face Hub by name, hf:OWNER/NAME, through the `datasets` package.

hf:OWNER/NAME:CONFIGURATION names one of several configurations. From version 4.0 on the package
reads data only, and runs no code that a dataset brings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from datm_engine.data.image_sets import FullSet, PartName, part_of
from datm_engine.data.readers import image_rows
from datm_engine.data.readers.image_rows import Columns, Rows
from datm_engine.data.readers.reader import DatasetSource, LoadOptions
from datm_engine.errors import DataError, Setting
from datm_engine.hints import command
from datm_engine.optional_imports import require
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.image_size import Shape

PREFIX = "hf:"
SITE = "https://huggingface.co/datasets"


class HubDataset(DatasetSource):
    """Downloaded once, below `data_dir`. Methods raise DatmError without the package."""

    def __init__(self, name: str, data_dir: Path) -> None:
        self.name, self.data_dir = name, data_dir

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        name, splits = self.name, _splits(self.name, self.data_dir)
        parts, unused = _parts(name, splits)
        if unused:
            skipped = ", ".join(unused)
            emit(Noted(text=f"{name}: of no part that is used, and skipped: {skipped}"))
        rows = {part: [_rows(name, key, splits[key]) for key in parts[part]] for part in parts}
        first = parts["train"][0]
        note = _columns(name, first, splits[first]).note
        if note is not None:
            emit(Noted(text=note))
        return image_rows.from_rows(rows, options, _fix(name), emit=emit)

    def shape(self) -> Shape:
        """Return the shape from the labels and the first image; downloads the dataset."""
        splits = _splits(self.name, self.data_dir)
        train = _parts(self.name, splits)[0]["train"]
        rows = [_rows(self.name, key, splits[key]) for key in train]
        return image_rows.peek(self.name, rows, _fix(self.name))

    def training_labels(self) -> None:
        """Return None: nothing is downloaded for the labels alone."""


def is_here(name: str, data_dir: Path) -> bool:
    """Return whether `data_dir` has an earlier download, in a folder named OWNER___NAME."""
    owner_and_name = name.removeprefix(PREFIX).partition(":")[0]
    kept = (data_dir / "huggingface").glob("*___*")
    return any(folder.name.lower() == owner_and_name.replace("/", "___").lower() for folder in kept)


def _splits(name: str, data_dir: Path) -> Any:
    """Return the splits by name, downloaded if they are not yet in `data_dir`."""
    source, _, configuration = name.removeprefix(PREFIX).partition(":")
    if not source:
        raise DataError(
            f"{name} names no dataset of the Hub", Setting("dataset", f"{PREFIX}ylecun/mnist")
        )
    hub = require("datasets", extra="hub", purpose=f"--dataset {name}")
    cache = str((data_dir / "huggingface").resolve())
    try:
        return hub.load_dataset(source, configuration or None, cache_dir=cache)
    except (OSError, ValueError, RuntimeError) as problem:
        if known := _configurations(str(problem)):
            lacks = (
                f"no configuration {configuration}" if configuration else "several configurations"
            )
            raise DataError(
                f"{name} has {lacks}; it has {', '.join(known)}",
                Setting("dataset", f"{PREFIX}{source}:{known[0]}"),
            ) from None
        reason = " ".join(str(problem).split())[:200]
        raise DataError(f"{name} cannot be loaded from the Hub: {reason}", _fix(name)) from None


def _configurations(message: str) -> list[str]:
    """Return the names that an error of `datasets` lists, if one has to be chosen."""
    if "config" not in message.lower():
        return []
    for listed in re.findall(r"\[[^\[\]]*\]", message):
        try:
            names = ast.literal_eval(listed)
        except (ValueError, SyntaxError):
            continue
        if names and all(isinstance(name, str) for name in names):
            return [str(name) for name in names]
    return []


def _parts(name: str, splits: Mapping[str, Any]) -> tuple[dict[PartName, list[str]], list[str]]:
    """Return the splits of each part, and the other splits. A single split is the training part."""
    parts: dict[PartName, list[str]] = {}
    for key in splits:
        part = part_of(key)
        if part is not None:
            parts.setdefault(part, []).append(key)
    if not parts and len(splits) == 1:
        return {"train": list(splits)}, []
    if "train" not in parts:
        raise DataError(f"{name} has the splits {', '.join(splits)}, and no train", _fix(name))
    return parts, [key for key in splits if part_of(key) is None]


def _columns(name: str, key: str, split: Any) -> Columns:
    types = {column: type(feature).__name__ for column, feature in split.features.items()}
    return image_rows.find_columns(split.column_names, types, f"{name} {key}", _fix(name))


def _rows(name: str, key: str, split: Any) -> Rows:
    source, columns = f"{name} {key}", _columns(name, key, split)
    class_names = getattr(split.features[columns.label], "names", None)

    def encoded() -> Iterator[bytes]:
        hub = require("datasets", extra="hub", purpose=f"--dataset {name}")
        is_image = type(split.features[columns.image]).__name__ == "Image"
        # Encoded bytes: decoding is the same for all sources.
        plain = split.cast_column(columns.image, hub.Image(decode=False)) if is_image else split
        for n, cell in enumerate(plain[columns.image]):  # a column reads its cells one by one
            row = f"{source} row {n}"
            yield image_rows.encoded_image(cell, row, _reader(row), _fix(name))

    stated = tuple(str(word) for word in class_names) if class_names else None
    return Rows(source, list(split[columns.label]), encoded, stated)


def _reader(source: str) -> Callable[[str], bytes]:
    """Return a function that reads an image which `datasets` stored in a separate file."""

    def read(path: str) -> bytes:
        try:
            return Path(path).read_bytes()
        except (OSError, ValueError) as problem:
            reason = getattr(problem, "strerror", None) or str(problem)
            wrong = f"{source}: an image cannot be read: {reason}"
            raise DataError(wrong, command("ls", "-l", path)) from None

    return read


def _fix(name: str) -> str:
    return command("wget", "--spider", f"{SITE}/{name.removeprefix(PREFIX).partition(':')[0]}")
