"""Datasets of the Hugging Face Hub by name, hf:OWNER/NAME, through the `datasets` package.

hf:OWNER/NAME:CONFIGURATION names one of several configurations. From version 4.0 on the package
reads data only, and runs no code that a dataset brings.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from datm_engine.data.image_sets import FullSet, PartName, by_part
from datm_engine.data.readers import image_rows
from datm_engine.data.readers.image_rows import Rows
from datm_engine.data.readers.reader import DatasetSource, LoadOptions
from datm_engine.errors import DataError, Setting
from datm_engine.hints import command
from datm_engine.optional_imports import require
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape

PREFIX = "hf:"
SITE = "https://huggingface.co/datasets"


class HubDataset(DatasetSource):
    """Downloaded once, below `data_dir`. Methods raise DatmError without the package."""

    def __init__(self, name: str, data_dir: Path) -> None:
        self.name, self.data_dir = name, data_dir
        self._owner_and_name, _, self._configuration = name.removeprefix(PREFIX).partition(":")
        self._fix = command("wget", "--spider", f"{SITE}/{self._owner_and_name}")

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        parts = self._parts()
        used = {key for keys in parts.values() for key in keys}
        unused = ", ".join(key for key in self._splits if key not in used)
        note = f"{self.name}: of no part that is used, and skipped: {unused}" if unused else ""
        rows = {part: [self._rows(key) for key in keys] for part, keys in parts.items()}
        return image_rows.from_rows(rows, [note], options, self._fix, emit=emit)

    def shape(self) -> Shape:
        """Return the shape from the labels and the first image; downloads the dataset."""
        rows = [self._rows(key) for key in self._parts()["train"]]
        return image_rows.peek(self.name, rows, self._fix)

    def training_counts(self) -> None:
        """Return None: nothing is downloaded for the labels alone."""

    @cached_property
    def _splits(self) -> Any:
        """The splits by name, downloaded if they are not yet in `data_dir`."""
        name, configuration = self.name, self._configuration
        if not self._owner_and_name:
            example = Setting("dataset", f"{PREFIX}ylecun/mnist")
            raise DataError(f"{name} names no dataset of the Hub", example)
        package = require("datasets", extra="hub", purpose=f"the dataset {name}")
        cache = str((self.data_dir / "huggingface").resolve())
        try:
            return package.load_dataset(
                self._owner_and_name, configuration or None, cache_dir=cache
            )
        except (OSError, ValueError, RuntimeError) as problem:
            if known := _configurations(str(problem)):
                one = f"no configuration {configuration}"
                lacks = one if configuration else "several configurations"
                raise DataError(
                    f"{name} has {lacks}; it has {', '.join(known)}",
                    Setting("dataset", f"{PREFIX}{self._owner_and_name}:{known[0]}"),
                ) from None
            reason = " ".join(str(problem).split())[:200]
            wrong = f"{name} cannot be loaded from the Hub: {reason}"
            raise DataError(wrong, self._fix) from None

    def _parts(self) -> dict[PartName, list[str]]:
        """Return the splits of each part. A single split is the training part."""
        splits = list(self._splits)
        parts = by_part((key, key) for key in splits)
        if not parts and len(splits) == 1:
            return {"train": splits}
        if "train" not in parts:
            wrong = f"{self.name} has the splits {', '.join(splits)}, and no train"
            raise DataError(wrong, self._fix)
        return parts

    def _rows(self, key: str) -> Rows:
        source, split = f"{self.name} {key}", self._splits[key]
        types = {column: type(feature).__name__ for column, feature in split.features.items()}
        image, label, note = image_rows.find_columns(split.column_names, types, source, self._fix)

        def encoded() -> Iterator[bytes]:
            package = require("datasets", extra="hub", purpose=f"the dataset {self.name}")
            # Encoded bytes: decoding is the same for all sources.
            undecoded = package.Image(decode=False)
            plain = split.cast_column(image, undecoded) if types[image] == "Image" else split
            for n, cell in enumerate(plain[image]):  # a column reads its cells one by one
                row = f"{source} row {n}"
                # `datasets` stores some images in separate files.
                read = partial(image_rows.named_file, source=row, fix=self._fix)
                yield image_rows.encoded_image(cell, row, read, self._fix)

        class_names = getattr(split.features[label], "names", None)
        stated = tuple(str(word) for word in class_names) if class_names else None
        return Rows(source, list(split[label]), encoded, stated, note)


def is_here(name: str, data_dir: Path) -> bool:
    """Return whether `data_dir` has an earlier download, in a folder named OWNER___NAME."""
    owner_and_name = name.removeprefix(PREFIX).partition(":")[0]
    kept = (data_dir / "huggingface").glob("*___*")
    return any(folder.name.lower() == owner_and_name.replace("/", "___").lower() for folder in kept)


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
