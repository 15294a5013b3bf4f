"""Read rows of encoded images and labels, from parquet files and the Hugging Face Hub."""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from datm_engine.data.decoding import decode_images
from datm_engine.data.image_sets import FullSet, PartName
from datm_engine.data.readers import labels
from datm_engine.data.readers.reader import LoadOptions
from datm_engine.errors import DataError
from datm_engine.formatting import some_of
from datm_engine.hints import command
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.image_size import Shape

# In the order in which they are looked for, in any letter case.
IMAGE_COLUMNS = (
    "img", "image", "images", "picture", "photo", "pixel_values", "jpg", "jpeg", "png", "webp"
)  # fmt: skip
LABEL_COLUMNS = (
    "fine_label", "label", "labels", "class", "class_label", "target", "targets", "category",
    "cls", "y",
)  # fmt: skip


@dataclass(frozen=True)
class Rows:
    """The rows of one file or split: `labels` are class numbers, class names or None for no label.

    `source` is how errors name them, `encoded` reads the images one by one. `note` names columns
    that could be meant instead.
    """

    source: str
    labels: Sequence[Any]
    encoded: Callable[[], Iterable[bytes]]
    class_names: tuple[str, ...] | None
    note: str


def find_columns(
    available: Sequence[str], types: Mapping[str, str], source: str, fix: str
) -> tuple[str, str, str]:
    """Find the columns of images and labels by their usual names, or by the types that the Hub's
    schema states: {"image": "Image", "label": "ClassLabel"}.

    Returns both, and a note on other columns that could be meant, or "". Raises DataError.
    """
    images = _candidates(available, IMAGE_COLUMNS, types, "Image")
    classes = _candidates(available, LABEL_COLUMNS, types, "ClassLabel")
    if not images or not classes:
        lacking = "images" if not images else "labels"
        known = IMAGE_COLUMNS if not images else LABEL_COLUMNS
        raise DataError(
            f"{source} has columns {', '.join(available)}, and none of {lacking} is recognised; "
            f"it is named {', '.join(known[:-1])} or {known[-1]}",
            fix,
        )
    notes = [
        f"column {columns[0]} is read, not {', '.join(columns[1:])}"
        for columns in (images, classes)
        if len(columns) > 1
    ]
    return images[0], classes[0], f"{source}: {'; '.join(notes)}" if notes else ""


def _candidates(
    available: Sequence[str], known: Sequence[str], types: Mapping[str, str], kind: str
) -> list[str]:
    named = sorted(
        (name for name in available if name.lower() in known),
        key=lambda name: known.index(name.lower()),
    )
    typed = [name for name in available if types.get(name) == kind]
    return named or (typed if len(typed) == 1 else [])


def from_rows(
    parts: Mapping[PartName, Sequence[Rows]],
    notes: Sequence[str],
    options: LoadOptions,
    fix: str,
    *,
    emit: Emit,
) -> FullSet:
    """Decode the images and convert the labels to class numbers. Raises DataError."""
    name = options.name
    labelled = labels_of(name, parts, fix)
    for note in (*notes, parts["train"][0].note, *labelled.notes):
        if note:
            emit(Noted(text=note))
    used = [rows for part in labelled.stored.values() for rows in parts[part]]
    names = [Path(f"{rows.source} row {n}") for rows in used for n in range(len(rows.labels))]
    encoded = [content for rows in used for content in rows.encoded()]
    decoded = decode_images.decode(names, encoded.__getitem__, options, emit=emit)
    images = decoded.parts(labelled.numbers, labelled.class_names, ["train"], name, fix)
    if "test" in labelled.stored and "test" not in images:
        raise DataError(f"{name}: its {labelled.stored['test']} part has no intact image", fix)
    return FullSet(labelled.class_names, images)


def labels_of(name: str, parts: Mapping[PartName, Sequence[Rows]], fix: str) -> labels.Labels:
    """Resolve the labels of all parts that have labels, with the class names that rows state.

    Raises DataError as `labels.read` and `labels.resolve` do, and for class names that differ.
    """
    every = {
        part: labels.read([(some.source, some.labels) for some in rows], fix)
        for part, rows in parts.items()
    }
    used = [some for part, rows in parts.items() if every[part] is not None for some in rows]
    stated: dict[tuple[str, ...], str] = {}
    for some in used:
        if some.class_names is not None:
            stated.setdefault(some.class_names, some.source)
    if len(stated) > 1:
        first, second = (
            f"{some_of(names)} in {source}" for names, source in islice(stated.items(), 2)
        )
        raise DataError(f"class names differ: {first}, {second}", fix)
    return labels.resolve(name, every, next(iter(stated), None), fix)


def peek(name: str, train: Sequence[Rows], fix: str) -> Shape:
    """Return classes from all labels, channels and size from the first readable image."""
    classes = len(labels_of(name, {"train": train}, fix).class_names)
    damaged = None
    for row, encoded in enumerate(train[0].encoded()):
        try:
            source = Path(f"{train[0].source} row {row}")
            (width, height), grey = decode_images.encoded_size(source, encoded)
            return Shape(classes, 1 if grey else 3, height, width)
        except DataError as problem:  # all are named when they are decoded
            damaged = damaged or problem
    raise damaged or DataError(f"{train[0].source} has no rows", fix)


def encoded_image(cell: Any, source: str, read_file: Callable[[str], bytes], fix: str) -> bytes:
    """Return the encoded bytes of an image from a cell: bytes, {bytes, path}, a path, or nested
    lists of 0 to 255, [height, width] or [height, width, 3]. Raises DataError for anything else."""
    path = None
    if isinstance(cell, dict):
        cell, path = cell.get("bytes"), cell.get("path")
    if isinstance(cell, bytes):
        return cell
    if isinstance(cell, str) or (cell is None and isinstance(path, str)):
        return read_file(str(path if cell is None else cell))
    if isinstance(cell, list):
        return _portable_map(cell, source, fix)
    raise DataError(f"{source} holds no image", fix)


def _portable_map(cell: list[Any], source: str, fix: str) -> bytes:
    """Encode nested lists of pixels as a .pgm or .ppm file."""
    try:
        pixels = np.asarray(cell)
    except ValueError:  # lists of several lengths
        pixels = np.empty(0)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    is_image = pixels.ndim in (2, 3) and channels in (1, 3) and pixels.size
    if not is_image or pixels.dtype.kind not in "iu":
        wrong = f"numbers {list(pixels.shape)} of type {pixels.dtype}"
    elif pixels.min() < 0 or pixels.max() > 255:
        wrong = f"numbers from {pixels.min()} to {pixels.max()}"
    else:
        # PGM and PPM store rows of pixels as bytes after a header of text.
        kind = "P5" if channels == 1 else "P6"
        header = f"{kind} {pixels.shape[1]} {pixels.shape[0]} 255\n"
        return header.encode() + pixels.astype(np.uint8).tobytes()
    raise DataError(f"{source} holds no image of whole numbers from 0 to 255: {wrong}", fix)


def file_inside(root: Path, folders: Sequence[Path], source: str, name: str) -> bytes:
    """Read a file that a row names, relative to one of `folders` and inside `root`."""
    fix = command("ls", "-l", root)
    try:
        paths = [folder / name for folder in folders]
        path = next((path for path in paths if path.exists()), paths[0])
        # A link may lead out of the folder too.
        if not path.resolve().is_relative_to(root.resolve()):
            raise DataError(f"{source} names the file {name}, which is outside {root}", fix)
    except (ValueError, RuntimeError) as problem:  # a zero byte, links in a circle
        wrong = f"{source} names the file {name!r}, which is no path: {problem}"
        raise DataError(wrong, fix) from None
    return named_file(path, source, fix)


def named_file(path: str | Path, source: str, fix: str) -> bytes:
    """Read a file that a row names."""
    try:
        if not Path(path).is_file():  # reading a pipe would block for ever
            raise OSError(errno.ENOENT, "no such file")
        return Path(path).read_bytes()
    except OSError as problem:
        wrong = f"{source} names the file {path}, which cannot be read: {problem.strerror}"
        raise DataError(wrong, fix) from None
