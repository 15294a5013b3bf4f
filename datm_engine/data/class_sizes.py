"""How many training images a class has, as far as that is known before any image is decoded."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from datm_engine.config import DatasetConfig
from datm_engine.data import arrays, hub, listing, parquet, splitting
from datm_engine.errors import DataError

# The training images of the smallest class of each built-in set.
SMALLEST = {
    "digits": 139,
    "cifar10": 5_000,
    "cifar100": 500,
    "svhn": 4_659,
    "mnist": 5_421,
    "fashionmnist": 6_000,
    "tinyimagenet": 500,
}


def smallest_class(settings: DatasetConfig) -> tuple[str, int] | None:
    """The class with the fewest training images, without those that are held out for validation,
    and their number. None where only loading the dataset shows it; loading also says what is wrong
    with it.

    The class of a built-in set is not named: all have about as many.
    """
    if settings.name in SMALLEST:
        used = SMALLEST[settings.name]
        if settings.train_images != "all":
            used = min(used, settings.train_images // _classes(settings.name))
        return f"a class of {settings.name}", _left(used, settings.validation)
    found = _labels(settings)
    if found is None:
        return None
    labels, names, held_out = found
    if settings.train_images != "all" and len(names) <= settings.train_images < len(labels):
        labels = labels[splitting.choose(labels, settings.train_images, settings.seed)]
    kept = labels[~splitting.hold_out(labels, held_out, settings.seed)]
    counts = kept.bincount(minlength=len(names))
    fewest = int(counts.argmin())
    return f"class {names[fewest]}", int(counts[fewest])


def _classes(name: str) -> int:
    return {"cifar100": 100, "tinyimagenet": 200}.get(name, 10)


def _left(count: int, share: float) -> int:
    """What `splitting.hold_out` leaves of a class."""
    labels = torch.zeros(count, dtype=torch.int64)
    return int((~splitting.hold_out(labels, share, seed=0)).sum())


def _labels(settings: DatasetConfig) -> tuple[Tensor, tuple[str, ...], float] | None:
    """The labels of the training images without a held-out test part, the names of the classes, and
    the share that is held out for validation."""
    place, name = Path(os.path.expanduser(settings.name)), settings.name
    try:
        if name.startswith(hub.PREFIX):
            return None
        if place.is_dir() and not parquet.is_here(place):
            listed = listing.list_images(place)
            labels = torch.tensor([label for _, label in listed.parts["train"]])
            return _without_test(labels, settings, set(listed.parts), listed.class_names)
        if place.suffix == ".safetensors":
            shape = arrays.read_shape(place)
            with safe_open(place, framework="pt") as file:
                labels = file.get_tensor("train.labels")
            in_range = bool(((labels >= 0) & (labels < shape.classes)).all())
            names = tuple(map(str, range(shape.classes)))
            parts = set(arrays.counts(place))
            return _without_test(labels, settings, parts, names) if in_range else None
    except DataError:  # loading raises it again, or reads what is no folder of class folders
        return None
    return None


def _without_test(
    labels: Tensor, settings: DatasetConfig, parts: Collection[str], names: tuple[str, ...]
) -> tuple[Tensor, tuple[str, ...], float]:
    if "test" not in parts and "validation" not in parts:
        held_out = splitting.hold_out(labels, settings.test, settings.seed, "test images")
        labels = labels[~held_out]
    has_validation = {"test", "validation"} <= set(parts)
    return labels, names, 0.0 if has_validation else settings.validation
