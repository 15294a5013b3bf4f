"""All readers, and which one reads a path. A new format is a reader in this list."""

from __future__ import annotations

from pathlib import Path

from datm_engine.data.readers import archives
from datm_engine.data.readers.cifar import CifarReader
from datm_engine.data.readers.folder_scanner import readable_name
from datm_engine.data.readers.idx import IdxReader
from datm_engine.data.readers.image_folder import ImageFolderReader
from datm_engine.data.readers.mat import MatReader
from datm_engine.data.readers.npz import NpzReader
from datm_engine.data.readers.parquet import ParquetReader
from datm_engine.data.readers.reader import DatasetReader
from datm_engine.data.readers.safetensors_file import SafetensorsReader
from datm_engine.errors import ConfigError
from datm_engine.files import cannot_read
from datm_engine.hints import command

# The first that recognises a path reads it. A folder that no other recognises holds images.
READERS: tuple[type[DatasetReader], ...] = (
    SafetensorsReader,
    NpzReader,
    ParquetReader,
    CifarReader,
    IdxReader,
    MatReader,
    ImageFolderReader,
)
# Commands that unpack archives which neither zipfile nor tarfile reads.
_UNPACKED_BY = {
    ".rar": ("unrar", "x"),
    ".7z": ("7z", "x"),
    ".tar.zst": ("tar", "--zstd", "-xf"),
    ".tzst": ("tar", "--zstd", "-xf"),
}


def reader_of(path: Path) -> DatasetReader:
    """Return the reader of a path.

    Raises ConfigError for a file of an unknown format, DataError for an unreadable folder.
    """
    try:
        for reader in READERS:
            if reader.recognizes(path):
                return reader(path)
    except OSError as problem:
        raise cannot_read(problem.filename, problem) from None
    unpack = (words for end, words in _UNPACKED_BY.items() if path.name.lower().endswith(end))
    raise ConfigError(
        f"{path} is neither a folder of images or parquet files nor a file that is read: "
        f".safetensors, .npz, .mat, .parquet, {', '.join(archives.SUFFIXES[:5])}, …",
        command(*next(unpack, ("ls", "-l")), path),
    )


def title_of(path: Path) -> str:
    """Return what a dataset is called: its folder's name, or its file's without the suffix."""
    if path.is_dir():
        name = path.resolve().name
    else:
        name = archives.stem(path) if archives.is_archive(path) else path.stem
    return readable_name(name)
