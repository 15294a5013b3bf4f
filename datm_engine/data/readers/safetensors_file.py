"""Read and write a dataset in one safetensors file.

It has `train.images` uint8 [n, channels, height, width] and `train.labels` int64 [n], the same for
`test` and `validation` if there are such parts, and `class_names` in the metadata, a JSON list.
Decoded folders of images are stored in this format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safetensors import SafetensorError, safe_open

from datm_engine.data.image_sets import PARTS, FullSet, ImageSet, PartName, TrainingCounts
from datm_engine.data.readers.reader import DatasetReader, LoadOptions
from datm_engine.errors import DataError
from datm_engine.files import cannot_read, parse_json
from datm_engine.hints import HELP
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape

if TYPE_CHECKING:
    from torch import Tensor


class SafetensorsReader(DatasetReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_file() and path.suffix == ".safetensors"

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        return read(self.path)[0]

    def shape(self) -> Shape:
        """Return the shape from the file's header, checked as `read` checks it."""
        with _open(self.path) as file:
            header = _read_header(self.path, file)
        _, channels, height, width = header.shape
        return Shape(len(header.class_names), channels, height, width)

    def training_counts(self) -> TrainingCounts:
        """Return the training labels, checked as `read` checks them."""
        with _open(self.path) as file:
            header = _read_header(self.path, file)
            labels = file.get_tensor("train.labels")
        _check_range(self.path, "train", labels, len(header.class_names))
        return TrainingCounts.of_labels(header.class_names, labels.tolist(), header.parts)


def save(path: Path, full: FullSet, notes: Sequence[str] = ()) -> None:
    """Write all parts, and notes on how they were decoded. Raises FileError."""
    from datm_engine import tensors as tensor_file

    tensors: dict[str, Tensor] = {}
    for name, part in full.parts.items():
        tensors |= {f"{name}.images": part.images, f"{name}.labels": part.labels}
    metadata = {"class_names": json.dumps(full.class_names)}
    if notes:
        metadata["notes"] = json.dumps(list(notes))
    tensor_file.save_tensors(path, tensors, metadata)


def read(path: Path) -> tuple[FullSet, Mapping[str, str]]:
    """Read all parts, and the metadata, in which `notes` are a JSON list.

    Raises DataError for a file that is damaged or not of the form above.
    """
    import torch

    from datm_engine import tensors as tensor_file

    with _open(path) as file:
        header = _read_header(path, file)
        keys = [f"{part}.{what}" for part in header.parts for what in ("images", "labels")]
        tensors = {key: file.get_tensor(key) for key in keys}
        metadata = file.metadata()
    parts = {
        part: ImageSet(tensors[f"{part}.images"], tensors[f"{part}.labels"])
        for part in header.parts
    }
    for name, part in parts.items():
        _check_range(path, name, part.labels, len(header.class_names))
    counts = torch.bincount(parts["train"].labels, minlength=len(header.class_names))
    if not counts.all():
        empty = header.class_names[int(counts.argmin())]
        raise _unfit(path, f"train has no image of class {empty}")
    try:
        tensor_file.check_digest(tensors, metadata)
    except ValueError as problem:
        raise _unfit(path, str(problem)) from None
    return FullSet(header.class_names, parts), metadata


@dataclass(frozen=True)
class _Header:
    """`shape`: [n, channels, height, width] of train.images."""

    class_names: tuple[str, ...]
    parts: tuple[PartName, ...]
    shape: tuple[int, ...]


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Open a safetensors file. Raises DataError if that, or reading it, fails."""
    try:
        path.open("rb").close()  # safe_open reports a file without permission as missing
        with safe_open(path, framework="pt") as file:
            yield file
    except (OSError, SafetensorError) as problem:
        raise cannot_read(path, problem) from None


def _read_header(path: Path, file: Any) -> _Header:
    """Check an open file's header."""
    keys = set(file.keys())
    parts = [p for p in PARTS if p == "train" or keys & {f"{p}.images", f"{p}.labels"}]
    needed = {f"{part}.{what}" for part in parts for what in ("images", "labels")}
    if missing := sorted(needed - keys):
        raise _unfit(path, f"it lacks {', '.join(missing)}")
    shapes = {}
    for part in parts:
        for key, dtype, axes in ((f"{part}.images", "U8", 4), (f"{part}.labels", "I64", 1)):
            header = file.get_slice(key)
            shapes[key] = header.get_shape()
            if header.get_dtype() != dtype or len(shapes[key]) != axes:
                raise _unfit(path, f"{key} is {header.get_dtype()} {shapes[key]}")
        images, labels = shapes[f"{part}.images"], shapes[f"{part}.labels"]
        if images[0] != labels[0]:
            raise _unfit(path, f"{part} has {images[0]} images but {labels[0]} labels")
        if images[0] == 0 or images[1] not in (1, 3) or 0 in images[2:]:
            raise _unfit(path, f"{part}.images is of shape {images}")
        if images[1:] != shapes["train.images"][1:]:
            raise _unfit(path, f"images in train and {part} differ in shape")
    stated = (file.metadata() or {}).get("class_names")
    if stated is None:
        raise _unfit(path, "its metadata has no class_names")
    try:
        names = parse_json(stated)
    except ValueError:
        names = None
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise _unfit(path, f"its class_names is no JSON list of strings: {stated[:60]}")
    if len(names) < 2:
        raise _unfit(path, f"{len(names)} class named in class_names, at least 2 are needed")
    return _Header(tuple(names), tuple(parts), tuple(shapes["train.images"]))


def _check_range(path: Path, part: str, labels: Tensor, classes: int) -> None:
    lowest, highest = int(labels.min()), int(labels.max())
    if lowest < 0 or highest >= classes:
        wrong = lowest if lowest < 0 else highest
        raise _unfit(path, f"{part}.labels has {wrong}, outside 0 to {classes - 1}")


def _unfit(path: Path, problem: str) -> DataError:
    return DataError(
        f"{path} cannot be used as a dataset: {problem}; it takes train.images, uint8 "
        "[n, 1 or 3, height, width], train.labels, int64 [n], the same of test and validation "
        "where there are such parts, and in the metadata class_names, a JSON list",
        HELP,
    )
