"""Images in parquet files, in the layout of the Hugging Face Hub.

Columns `img` or `image` ({bytes, path}) and `label` or `fine_label` (class numbers); class names
stand in the schema. A file's part is told by its name or by its folder's: train-00000-of-00001
.parquet, test/0000.parquet, validation-….
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from datm_engine.data import decoding
from datm_engine.data.arrays import FullSet, ImageSet, Shape
from datm_engine.errors import DataError
from datm_engine.events import Event
from datm_engine.extras import require
from datm_engine.files import parse_json
from datm_engine.hints import command

IMAGE_COLUMNS = ("img", "image")
LABEL_COLUMNS = ("fine_label", "label")
TEST_PARTS = ("test", "validation", "valid", "val")  # the first that is there


@dataclass(frozen=True)
class Rows:
    """Encoded images with their class numbers; `place` is what errors call them by."""

    place: str
    encoded: list[bytes]
    labels: list[int]


def is_here(folder: Path) -> bool:
    """Whether the folder, or one in it, has a parquet file that says its part; others, as the
    tables of metadata beside class folders, are passed over."""
    return bool(_parts(folder))


def load(
    folder: Path, *, name: str, resolution: decoding.Size | None, skip_damaged: bool = False
) -> Generator[Event, None, FullSet]:
    """Raises DataError for a part, a column or an image that is missing or damaged, DatmError
    without pyarrow."""
    parts = _parts(folder)
    test = next((part for part in TEST_PARTS if part in parts), None)
    if "train" not in parts or test is None:
        raise DataError(
            f"{folder} holds parquet files of {', '.join(sorted(parts))}; a train and a test or "
            "validation part are needed",
            command("ls", "-R", folder),
        )
    train_rows = [_read(path) for path in parts["train"]]
    test_rows = [_read(path) for path in parts[test]]
    names = _class_names(parts["train"][0])
    return (yield from from_rows(train_rows, test_rows, names, name, resolution, skip_damaged))


def peek(folder: Path) -> Shape:
    """From the schema and the first image. Raises as `load` does."""
    parts = _parts(folder)
    files = parts.get("train") or next(iter(parts.values()))
    rows = _read(files[0])
    names = _class_names(files[0]) or _numbered(rows.labels)
    return shape_of(rows, names)


def shape_of(rows: Rows, class_names: Sequence[str]) -> Shape:
    """From the first image with a readable header; `load` names the others."""
    for encoded in rows.encoded:
        try:
            (width, height), grey = decoding.encoded_size(Path(rows.place), encoded)
        except DataError:
            continue
        return Shape(len(class_names), 1 if grey else 3, height, width)
    return Shape(len(class_names), None, None, None)


def from_rows(
    train: Sequence[Rows],
    test: Sequence[Rows],
    class_names: tuple[str, ...] | None,
    name: str,
    resolution: decoding.Size | None,
    skip_damaged: bool = False,
) -> Generator[Event, None, FullSet]:
    """Decoded; without class names, they are numbers. Raises DataError."""
    rows = [*train, *test]
    encoded = [image for some in rows for image in some.encoded]
    places = [Path(f"{some.place} row {n}") for some in rows for n in range(len(some.encoded))]
    labels = torch.tensor([label for some in rows for label in some.labels], dtype=torch.int64)
    names = class_names or _numbered(labels.tolist())
    if not 0 <= int(labels.min()) <= int(labels.max()) < len(names):
        wrong = int(labels.min()) if int(labels.min()) < 0 else int(labels.max())
        told = f"{name} has a label {wrong}, outside 0 to {len(names) - 1}"
        raise DataError(told, "--dataset digits")
    cut = sum(len(some.labels) for some in train)
    _check_classes(name, names, labels[:cut])
    images, kept = yield from decoding.decode_encoded(
        places, encoded.__getitem__, resolution, f"decoding {name}", skip_damaged
    )
    labels, cut = labels[kept], int(kept[:cut].sum())
    _check_classes(name, names, labels[:cut])
    if cut == len(labels):
        raise DataError(f"{name}: the test part has no intact image", "--dataset digits")
    return FullSet(
        names, ImageSet(images[:cut], labels[:cut]), ImageSet(images[cut:], labels[cut:])
    )


def _check_classes(name: str, names: Sequence[str], labels: torch.Tensor) -> None:
    """Raises DataError for a class without a training image."""
    counts = torch.bincount(labels, minlength=len(names))
    if not counts.all():
        empty = names[int(counts.argmin())]
        raise DataError(f"{name}: train has no image of class {empty}", "--dataset digits")


def columns(available: Sequence[str], place: str) -> tuple[str, str]:
    """The columns of images and of labels. Raises DataError."""
    image = next((name for name in IMAGE_COLUMNS if name in available), None)
    label = next((name for name in LABEL_COLUMNS if name in available), None)
    if image is None or label is None:
        raise DataError(
            f"{place} has columns {', '.join(available)}; it takes {' or '.join(IMAGE_COLUMNS)}, "
            f"and {' or '.join(LABEL_COLUMNS)}",
            "--dataset digits",
        )
    return image, label


def _parts(folder: Path) -> dict[str, list[Path]]:
    parts: dict[str, list[Path]] = {}
    for path in sorted([*folder.glob("*.parquet"), *folder.glob("*/*.parquet")]):
        told = [re.split(r"[-.]", path.name)[0], path.parent.name]
        part = next((word for word in told if word in ("train", *TEST_PARTS)), None)
        if part is not None:
            parts.setdefault(part, []).append(path)
    return parts


def _open(path: Path) -> Any:
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {path.name}")
    try:
        return parquet.ParquetFile(path)
    except (OSError, arrow.ArrowException) as problem:
        raise _unreadable(path, problem) from None


def _read(path: Path) -> Rows:
    file = _open(path)
    image, label = columns(file.schema_arrow.names, str(path))
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {path.name}")
    try:
        table = file.read(columns=[image, label])
    except (OSError, arrow.ArrowException) as problem:
        raise _unreadable(path, problem) from None
    encoded = [_content(cell) for cell in _cells(table[image])]
    labels = _cells(table[label])
    if not encoded or not all(isinstance(content, bytes) for content in encoded):
        raise _unreadable(path, f"column {image} holds no encoded images")
    if not all(isinstance(value, int) for value in labels):
        raise _unreadable(path, f"column {label} holds no class numbers")
    return Rows(str(path), encoded, labels)


def _content(cell: Any) -> Any:
    return cell.get("bytes") if isinstance(cell, dict) else cell


def _cells(column: Any) -> list[Any]:
    values: list[Any] = column.to_pylist()
    return values


def _class_names(path: Path) -> tuple[str, ...] | None:
    """The names that the Hub keeps in a schema's metadata, if it has any."""
    schema = _open(path).schema_arrow
    stated = (schema.metadata or {}).get(b"huggingface")
    if stated is None:
        return None
    _, label = columns(schema.names, str(path))
    try:
        names = parse_json(stated)["info"]["features"][label].get("names")
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise _unreadable(path, f"its schema's metadata: {problem!r}") from None
    return tuple(str(name) for name in names) if names else None


def _numbered(labels: Sequence[int]) -> tuple[str, ...]:
    """One beyond what the images could fill, where a label is: that is then refused."""
    return tuple(str(number) for number in range(min(max(labels), len(labels)) + 1))


def _unreadable(path: Path, problem: object) -> DataError:
    told = str(problem).splitlines()[0]
    return DataError(f"{path} cannot be read: {told}", command("ls", "-l", path))
