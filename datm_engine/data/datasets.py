"""Real images by name: a built-in set, one of the Hub, or a path: a folder of class folders or of
parquet files, a file of arrays, an archive (see readers.py).

What `load` gives is uint8 in memory, the same for the same name, settings and seed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datm_engine.data import built_in, dataset_names, hub, splitting
from datm_engine.data.dataset_names import NAMES
from datm_engine.data.image_sets import FullSet, ImageSet, TrainingLabels, digest
from datm_engine.data.readers import archives, registry
from datm_engine.errors import ConfigError, DataError
from datm_engine.hints import command
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings import image_size
from datm_engine.settings.image_size import Shape

__all__ = ["NAMES", "ImageSet", "RealData", "Shape", "load", "peek"]


@dataclass(frozen=True)
class RealData:
    """A dataset ready for use.

    `train`: what experts and random subsets see. `validation`: the held-out part of the training
    images, perhaps empty. `fingerprint`: sha256 over all images, labels and class names.
    """

    name: str
    class_names: tuple[str, ...]
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    fingerprint: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height, width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def load(
    name: str,
    *,
    data_dir: Path,
    resolution: int | str,
    train_images: int | Literal["all"],
    validation: float,
    test: float,
    seed: int,
    skip_damaged: bool = False,
    emit: Emit,
) -> RealData:
    """The dataset `name`; `seed` chooses the training images and the share `validation` of them.

    `resolution`: pixels a side, "32x24" (width x height) or "native".
    A dataset without a labelled test part has the share `test` of each class held out as one;
    one with a validation part of its own keeps it, and `validation` is not applied. With
    `skip_damaged`, images that cannot be read are skipped and reported. Downloads and decoded
    images are kept below `data_dir`. Raises ConfigError for settings that do not fit the
    dataset, DataError for images that are missing, damaged or unreadable.
    """
    try:
        size = image_size.size_of(resolution)
    except ValueError as problem:
        raise ConfigError(str(problem), "--resolution 32") from None
    place = dataset_names.locate(name)
    if name.startswith(hub.PREFIX):
        called = name
        full = hub.load(
            name, data_dir=data_dir, resolution=size, skip_damaged=skip_damaged, emit=emit
        )
    elif place is None:
        called = name
        full = built_in.load(
            name, data_dir=data_dir, resolution=size, skip_damaged=skip_damaged, emit=emit
        )
    else:
        called = registry.name_of(place)
        if archives.is_archive(place):
            place = archives.unpacked(place, data_dir, emit=emit)
        full = registry.reader_of(place).load(
            place, called, data_dir, size, skip_damaged, emit=emit
        )
    return _split(called, full, train_images, validation, test, seed, emit=emit)


def peek(name: str, *, data_dir: Path) -> Shape:
    """Classes, channels and size before decoding, to choose settings by.

    A folder's are those of one image of each class; `load` looks at them all. An archive is
    unpacked. Raises as `load` does, as far as this much reading finds anything wrong.
    """
    if name.startswith(hub.PREFIX):
        return hub.peek(name, data_dir=data_dir)
    place = _unpacked(name, data_dir)
    return built_in.BUILT_IN[name].shape if place is None else registry.reader_of(place).peek(place)


def is_here(name: str, *, data_dir: Path) -> bool:
    """Whether `load` downloads nothing."""
    if name.startswith(hub.PREFIX):
        return hub.is_here(name, data_dir)
    return dataset_names.locate(name) is not None or built_in.is_here(name, data_dir)


def training_labels(name: str, *, data_dir: Path) -> TrainingLabels | None:
    """The labels of all training images, without decoding any; None for a dataset of the Hub.
    Raises as `peek` does."""
    if name.startswith(hub.PREFIX):
        return None
    place = _unpacked(name, data_dir)
    if place is None:
        return built_in.BUILT_IN[name].training_labels
    return registry.reader_of(place).training_labels(place)


def _unpacked(name: str, data_dir: Path) -> Path | None:
    """The path of a dataset, of an archive its unpacked folder; None for one that is named."""
    place = dataset_names.locate(name)
    if place is None or not archives.is_archive(place):
        return place
    return archives.unpacked(place, data_dir, emit=lambda event: None)


def _split(
    name: str,
    full: FullSet,
    train_images: int | Literal["all"],
    validation: float,
    test: float,
    seed: int,
    *,
    emit: Emit,
) -> RealData:
    classes = len(full.class_names)
    if train_images != "all" and train_images < classes:
        raise ConfigError(
            f"{train_images} training images are fewer than the {classes} classes of {name}",
            f"--set dataset.train_images={classes}",
        )
    train, held, tested = splitting.split(
        full.train.labels,
        train_images=train_images,
        validation=validation,
        test=test,
        seed=seed,
        has_validation=full.validation is not None,
        has_test=full.test is not None,
    )
    if full.test is None:
        emit(_held_out_test(name, len(tested), len(full.train), test))
    available = len(full.train) - len(tested)
    if train_images != "all" and train_images > available:
        text = f"{name} has {available} training images, not {train_images}; all are used"
        emit(Noted(text=text))
    if full.validation is not None:
        emit(
            Noted(
                text=f"{name} has a validation part of {len(full.validation):,} images: it is "
                "used, and dataset.validation is not applied"
            )
        )
    elif validation > 0 and not len(held):
        emit(Noted(text=f"{name} has one training image a class: none is held out for validation"))
    parts = (
        full.train.subset(train),
        full.train.subset(held) if full.validation is None else full.validation,
        full.train.subset(tested) if full.test is None else full.test,
    )
    return RealData(name, full.class_names, *parts, digest(full.class_names, *parts))


def _held_out_test(name: str, count: int, images: int, share: float) -> Noted:
    """Raises DataError where nothing could be held out."""
    if not count:
        raise DataError(
            f"{name} has no labelled test part, and one image a class: none can be held out",
            command("datm", "distill", "--help"),
        )
    return Noted(
        text=f"{name} has no labelled test part: {count:,} of {images:,} images, {share:.0%} of "
        "each class, are held out as one (dataset.test, dataset.seed)"
    )
