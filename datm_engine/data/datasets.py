"""Real images by name: a built-in set, one of the Hub, a folder of class folders or of parquet
files, or a file of arrays.

What `load` gives is uint8 in memory, the same for the same name, settings and seed.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch

from datm_engine.data import arrays, folders, hub, listing, parquet, sources, splitting
from datm_engine.data.arrays import FullSet, ImageSet, Shape
from datm_engine.errors import ConfigError, DataError
from datm_engine.events import Event, Noted
from datm_engine.hints import command

__all__ = ["NAMES", "ImageSet", "RealData", "Shape", "load", "peek"]

NAMES = tuple(sources.BUILT_IN)


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


@dataclass(frozen=True)
class Available:
    """Training images; `has_validation`: none of them are held out, because the dataset has a
    validation part."""

    count: int
    has_validation: bool


def load(
    name: str,
    *,
    data_dir: Path,
    resolution: int | Literal["native"],
    train_images: int | Literal["all"],
    validation: float,
    seed: int,
    test: float = 0.2,
    skip_damaged: bool = False,
) -> Generator[Event, None, RealData]:
    """The dataset `name`; `seed` chooses the training images and the share `validation` of them.

    A dataset without a labelled test part has the share `test` of each class held out as one;
    one with a validation part of its own keeps it, and `validation` is not applied. With
    `skip_damaged`, images that cannot be read are skipped and reported. Downloads and decoded
    images are kept below `data_dir`. Raises ConfigError for settings that do not fit the
    dataset, DataError for images that are missing, damaged or unreadable.
    """
    if resolution != "native" and resolution < 1:
        raise ConfigError(f"a resolution of {resolution} pixels is none", "--resolution 32")
    size = None if resolution == "native" else (resolution, resolution)
    place = _locate(name)
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
    elif place.is_dir() and parquet.is_here(place):
        called = listing.as_text(place.resolve().name)
        full = yield from parquet.load(
            place, name=called, resolution=size, skip_damaged=skip_damaged
        )
    elif place.is_dir():
        called = listing.as_text(place.resolve().name)
        full = yield from folders.load(
            place, name=called, data_dir=data_dir, resolution=size, skip_damaged=skip_damaged
        )
    else:
        called = listing.as_text(place.stem)
        full = arrays.read(place)
        if size is not None:
            full = yield from sources.resized(full, called, size)
    return (yield from _split(called, full, train_images, validation, test, seed))


def peek(name: str, *, data_dir: Path) -> Shape:
    """Classes, channels and size before decoding, to choose settings by.

    A folder's are those of one image of each class; `load` looks at them all.
    Raises as `load` does, as far as this much reading finds anything wrong.
    """
    if name.startswith(hub.PREFIX):
        return hub.peek(name, data_dir=data_dir)
    place = _locate(name)
    if place is None:
        return sources.BUILT_IN[name]
    if place.is_dir() and parquet.is_here(place):
        return parquet.peek(place)
    return listing.peek(place) if place.is_dir() else arrays.read_shape(place)


def training_images(name: str, test: float = 0.2) -> Available | None:
    """Of a folder or a file, without the share `test` if that has to be held out; None where only
    loading the dataset shows it. Raises as `load` does, as far as this much reading finds anything
    wrong."""
    place = None if name.startswith(hub.PREFIX) else _locate(name)
    if place is None or (place.is_dir() and parquet.is_here(place)):
        return None
    if place.is_dir():
        parts = listing.list_images(place).parts
        labels = torch.tensor([label for _, label in parts["train"]])
        held_out = int(splitting.hold_out(labels, test, 0).sum())  # as many for any seed
        count = len(labels) if "test" in parts else len(labels) - held_out
        return Available(count, "validation" in parts)
    count, stated = arrays.count(place), arrays.parts_in(place)
    return Available(
        count if "test" in stated else round(count * (1 - test)), "validation" in stated
    )


def _locate(name: str) -> Path | None:
    """Where a dataset given by its path is, or None for one that has a name."""
    if name in NAMES or name.startswith(hub.PREFIX):
        return None
    path = os.path.expanduser(name)
    if os.path.isdir(path) or (os.path.isfile(path) and path.endswith(".safetensors")):
        return Path(path)
    if os.path.exists(path):
        raise ConfigError(
            f"{name} is neither a folder with train/ and test/ nor a .safetensors file of arrays",
            command("ls", "-l", path),
        )
    plain = name.lower().replace("-", "").replace("_", "")
    near = difflib.get_close_matches(plain, NAMES, 1)
    raise ConfigError(
        f"dataset {name} is neither a path that exists nor one of {', '.join(NAMES)}",
        f"--dataset {near[0] if near else 'digits'}",
    )


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
