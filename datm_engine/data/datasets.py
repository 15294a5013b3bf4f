"""Real images by name: a built-in set, one of the Hub, or a path: a folder of class folders or of
parquet files, a file of arrays, an archive (see readers.py).

What `load` gives is uint8 in memory, the same for the same name, settings and seed.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from datm_engine import resolutions
from datm_engine.data import archives, arrays, hub, naming, readers, sources, splitting
from datm_engine.data.arrays import Available, FullSet, ImageSet, Shape
from datm_engine.data.naming import NAMES
from datm_engine.errors import ConfigError, DataError
from datm_engine.events import Event, Noted
from datm_engine.hints import command

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
    seed: int,
    test: float = 0.2,
    skip_damaged: bool = False,
) -> Generator[Event, None, RealData]:
    """The dataset `name`; `seed` chooses the training images and the share `validation` of them.

    `resolution`: pixels a side, "32x24" (width x height) or "native".
    A dataset without a labelled test part has the share `test` of each class held out as one;
    one with a validation part of its own keeps it, and `validation` is not applied. With
    `skip_damaged`, images that cannot be read are skipped and reported. Downloads and decoded
    images are kept below `data_dir`. Raises ConfigError for settings that do not fit the
    dataset, DataError for images that are missing, damaged or unreadable.
    """
    try:
        size = resolutions.size(resolution)
    except ValueError as problem:
        raise ConfigError(str(problem), "--resolution 32") from None
    place = naming.locate(name)
    if name.startswith(hub.PREFIX):
        called = name
        full = yield from hub.load(
            name, data_dir=data_dir, resolution=size, skip_damaged=skip_damaged
        )
    elif place is None:
        called = name
        full = yield from sources.load(
            name, data_dir=data_dir, resolution=size, skip_damaged=skip_damaged
        )
    else:
        called = readers.name_of(place)
        if archives.is_archive(place):
            place = yield from archives.unpacked(place, data_dir)
        full = yield from readers.reader_of(place).load(place, called, data_dir, size, skip_damaged)
    return (yield from _split(called, full, train_images, validation, test, seed))


def peek(name: str, *, data_dir: Path) -> Shape:
    """Classes, channels and size before decoding, to choose settings by.

    A folder's are those of one image of each class; `load` looks at them all. An archive is
    unpacked. Raises as `load` does, as far as this much reading finds anything wrong.
    """
    if name.startswith(hub.PREFIX):
        return hub.peek(name, data_dir=data_dir)
    place = _unpacked(name, data_dir)
    return sources.BUILT_IN[name] if place is None else readers.reader_of(place).peek(place)


def training_images(name: str, *, data_dir: Path, test: float = 0.2) -> Available | None:
    """The training images of a path, without the share `test` if that has to be held out; None for
    a dataset that is named, whose number only loading it finds. Raises as `peek` does."""
    place = _unpacked(name, data_dir)
    return None if place is None else readers.reader_of(place).available(place, test)


def _unpacked(name: str, data_dir: Path) -> Path | None:
    """The path of a dataset, of an archive its unpacked folder; None for one that is named."""
    place = naming.locate(name)
    if place is None or not archives.is_archive(place):
        return place
    unpacking = archives.unpacked(place, data_dir)
    while True:
        try:
            next(unpacking)
        except StopIteration as end:
            return Path(end.value)


def _split(
    name: str,
    full: FullSet,
    train_images: int | Literal["all"],
    validation: float,
    test: float,
    seed: int,
) -> Generator[Event, None, RealData]:
    used, tested = full.train, full.test
    if tested is None:
        used, tested = yield from _hold_out_test(name, full, test, seed)
    if train_images != "all":
        used = yield from _choose(name, full, used, train_images, seed)
    if full.validation is None:
        held_out = splitting.hold_out(used.labels, validation, seed)
        if validation > 0 and not held_out.any():
            text = f"{name} has one training image a class: none is held out for validation"
            yield Noted(text=text)
        train, held = used.subset(~held_out), used.subset(held_out)
    else:
        yield Noted(
            text=f"{name} has a validation part of {len(full.validation):,} images: it is used, "
            "and dataset.validation is not applied"
        )
        train, held = used, full.validation
    fingerprint = arrays.digest(full.class_names, train, held, tested)
    return RealData(name, full.class_names, train, held, tested, fingerprint)


def _hold_out_test(
    name: str, full: FullSet, share: float, seed: int
) -> Generator[Event, None, tuple[ImageSet, ImageSet]]:
    """The training images that are left, and those held out as the test part."""
    held_out = splitting.hold_out(full.train.labels, share, seed, "test images")
    if not held_out.any():
        raise DataError(
            f"{name} has no labelled test part, and one image a class: none can be held out",
            command("datm", "distill", "--help"),
        )
    yield Noted(
        text=f"{name} has no labelled test part: {int(held_out.sum()):,} of {len(full.train):,} "
        f"images, {share:.0%} of each class, are held out as one (dataset.test, dataset.seed)"
    )
    return full.train.subset(~held_out), full.train.subset(held_out)


def _choose(
    name: str, full: FullSet, available: ImageSet, count: int, seed: int
) -> Generator[Event, None, ImageSet]:
    """`count` of the training images, as evenly over the classes as there are images."""
    classes = len(full.class_names)
    if count < classes:
        raise ConfigError(
            f"{count} training images are fewer than the {classes} classes of {name}",
            f"--set dataset.train_images={classes}",
        )
    if count > len(available):
        yield Noted(text=f"{name} has {len(available)} training images, not {count}; all are used")
    return available.subset(splitting.choose(available.labels, count, seed))
