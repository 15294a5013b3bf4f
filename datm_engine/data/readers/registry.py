"""How each kind of folder and file is read, and which kind a path is of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data import built_in
from datm_engine.data.decoding import decode_images
from datm_engine.data.image_sets import FullSet, TrainingLabels
from datm_engine.data.readers import (
    archives,
    array_files,
    cifar,
    folder_listing,
    idx,
    image_folder,
    mat,
    npz,
    parquet,
    safetensors_file,
)
from datm_engine.errors import ConfigError
from datm_engine.files import cannot_read
from datm_engine.hints import command
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape

# Archives that neither zipfile nor tarfile reads.
_UNPACKED_BY = {
    ".rar": ("unrar", "x"),
    ".7z": ("7z", "x"),
    ".tar.zst": ("tar", "--zstd", "-xf"),
    ".tzst": ("tar", "--zstd", "-xf"),
}
Load = Callable[..., FullSet]


@dataclass(frozen=True)
class Reader:
    """How one kind of path is read.

    `load` takes the path, the dataset's name, the data folder, the resolution and whether to skip
    damaged images. `peek` returns the shape and `training_labels` the labels of all training
    images, before decoding. All raise DataError.
    """

    is_here: Callable[[Path], bool]
    load: Load
    peek: Callable[[Path], Shape]
    training_labels: Callable[[Path], TrainingLabels]


def reader_of(place: Path) -> Reader:
    """Raises ConfigError for a file that is no dataset, DataError for a folder that may not be
    read."""
    try:
        for reader in _READERS:
            if reader.is_here(place):
                return reader
    except OSError as problem:
        raise cannot_read(problem.filename, problem) from None
    raise ConfigError(
        f"{place} is neither a folder of images or parquet files nor a file that is read: "
        f".safetensors, .npz, .mat, .parquet, {', '.join(archives.SUFFIXES[:5])}, …",
        _unpacking(place) or command("ls", "-l", place),
    )


def _unpacking(place: Path) -> str | None:
    """The command that unpacks an archive of a kind that is not read."""
    for suffix, words in _UNPACKED_BY.items():
        if place.is_file() and place.name.lower().endswith(suffix):
            return command(*words, place)
    return None


def name_of(place: Path) -> str:
    """What the dataset is called: by its folder, or its file without the suffix."""
    if place.is_dir():
        return folder_listing.as_text(place.resolve().name)
    return folder_listing.as_text(
        archives.stem(place) if archives.is_archive(place) else place.stem
    )


def _resized(
    load: Callable[..., FullSet],
) -> Load:
    """A reader of arrays as one that resizes them."""

    def resized(
        place: Path,
        name: str,
        data_dir: Path,
        resolution: decode_images.Size | None,
        skip_damaged: bool,
        *,
        emit: Emit,
    ) -> FullSet:
        full = load(place, name, emit=emit)
        if resolution is None:
            return full
        return built_in.resized(full, name, resolution, emit=emit)

    return resized


def _read_arrays(place: Path, name: str, *, emit: Emit) -> FullSet:
    return safetensors_file.read(place)


def _load_folder(
    place: Path,
    name: str,
    data_dir: Path,
    resolution: decode_images.Size | None,
    skip_damaged: bool,
    *,
    emit: Emit,
) -> FullSet:
    return image_folder.load(
        place,
        name=name,
        data_dir=data_dir,
        resolution=resolution,
        skip_damaged=skip_damaged,
        emit=emit,
    )


def _load_parquet(
    place: Path,
    name: str,
    data_dir: Path,
    resolution: decode_images.Size | None,
    skip_damaged: bool,
    *,
    emit: Emit,
) -> FullSet:
    return parquet.load(
        place, name=name, resolution=resolution, skip_damaged=skip_damaged, emit=emit
    )


def _of_arrays(
    is_here: Callable[[Path], bool], read: Callable[[Path], array_files.Contents]
) -> Reader:
    return Reader(
        is_here,
        _resized(lambda place, name, emit: array_files.load(name, read(place), emit=emit)),
        lambda place: array_files.peek(read(place)),
        lambda place: array_files.training_labels(read(place)),
    )


def _is_safetensors(place: Path) -> bool:
    return place.is_file() and place.suffix == ".safetensors"


# Asked in this order: a folder of images is what none of the others is.
_READERS = (
    Reader(
        _is_safetensors,
        _resized(_read_arrays),
        safetensors_file.read_shape,
        safetensors_file.training_labels,
    ),
    _of_arrays(npz.is_here, npz.read),
    Reader(parquet.is_here, _load_parquet, parquet.peek, parquet.training_labels),
    Reader(cifar.is_here, _resized(cifar.load), cifar.peek, cifar.training_labels),
    _of_arrays(idx.is_here, idx.read),
    _of_arrays(mat.is_here, mat.read),
    Reader(Path.is_dir, _load_folder, folder_listing.peek, folder_listing.training_labels),
)
