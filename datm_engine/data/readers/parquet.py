"""Read images from parquet files, with the columns of the Hugging Face Hub or similar ones.

One column has images (encoded, {bytes, path}, paths or lists of pixels), one has labels (class
numbers or names). The schema's metadata may state class names.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from datm_engine.data.image_sets import PARTS, FullSet, TrainingCounts
from datm_engine.data.readers import image_rows, parquet_parts
from datm_engine.data.readers.image_rows import Rows
from datm_engine.data.readers.reader import DatasetReader, LoadOptions
from datm_engine.files import cannot_read, parse_json
from datm_engine.hints import command
from datm_engine.optional_imports import require
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape

_BATCH = 64  # rows read at once


class ParquetReader(DatasetReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return parquet_parts.are_dataset(path)

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Load a folder or a file. Raises DatmError without pyarrow."""
        files = parquet_parts.find(self.path)
        order = sorted(files.parts, key=PARTS.index)
        parts = {part: self._rows(files.parts[part]) for part in order}
        fix = _schema_of(files.parts["train"][0])
        return image_rows.from_rows(parts, files.notes, options, fix, emit=emit)

    def shape(self) -> Shape:
        """Return the shape from the schema, the labels and the first image."""
        paths = parquet_parts.find(self.path).parts["train"]
        return image_rows.peek(str(self.path), self._rows(paths), _schema_of(paths[0]))

    def training_counts(self) -> TrainingCounts:
        files = parquet_parts.find(self.path).parts
        parts = {part: self._rows(paths) for part, paths in files.items()}
        fix = _schema_of(files["train"][0])
        return image_rows.labels_of(str(self.path), parts, fix).of_training()

    def _rows(self, paths: Sequence[Path]) -> list[Rows]:
        root = self.path if self.path.is_dir() else self.path.parent
        return [_rows(path, root) for path in paths]


def _rows(path: Path, root: Path) -> Rows:
    """Return the rows of one file. Labels are read now, images later; `root` has image files."""
    with _open(path) as file:
        schema = file.schema_arrow
    features, fix = _features(path, schema), _schema_of(path)
    types = {name: str(feature.get("_type")) for name, feature in features.items()}
    image, label, note = image_rows.find_columns(schema.names, types, str(path), fix)
    with _reading(path), _open(path) as file:
        labels: list[Any] = file.read(columns=[label])[label].to_pylist()

    def encoded() -> Iterator[bytes]:
        with _reading(path), _open(path) as file:
            batches = file.iter_batches(_BATCH, columns=[image])
            cells = (cell for batch in batches for cell in batch.column(0).to_pylist())
            for row, cell in enumerate(cells):
                source = f"{path} row {row}"
                read = partial(image_rows.file_inside, root, (path.parent, root), source)
                yield image_rows.encoded_image(cell, source, read, fix)

    names = features.get(label, {}).get("names")
    stated = tuple(map(str, names)) if isinstance(names, list) and names else None
    return Rows(str(path), labels, encoded, stated, note)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    arrow = require("pyarrow", extra="parquet", purpose=f"reading {path.name}")
    try:
        yield
    except (OSError, arrow.ArrowException, KeyError, ValueError, OverflowError) as problem:
        raise cannot_read(path, problem) from None


def _open(path: Path) -> Any:
    parquet = require("pyarrow.parquet", extra="parquet", purpose=f"reading {path.name}")
    with _reading(path):
        return parquet.ParquetFile(path)


def _features(path: Path, schema: Any) -> dict[str, dict[str, Any]]:
    """Return what the Hub states of each column in a schema's metadata."""
    stated = (schema.metadata or {}).get(b"huggingface")
    if stated is None:
        return {}
    try:
        features = parse_json(stated)["info"]["features"]
        return {name: it for name, it in features.items() if isinstance(it, dict)}
    except (ValueError, KeyError, TypeError, AttributeError) as problem:
        raise cannot_read(path, f"its schema's metadata: {problem!r}") from None


def _schema_of(path: Path) -> str:
    """Return the command that prints a file's columns."""
    code = f"import pyarrow.parquet as p; print(p.read_schema({str(path)!r}))"
    return command("python", "-c", code)
