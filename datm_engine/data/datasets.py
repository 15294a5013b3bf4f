"""Load a dataset by its name: a built-in dataset, one of the Hub, or the path of files.

For a wrong name, the nearest one is suggested. Images are uint8 tensors in memory, the same for the
same name, settings and seed. Formats of files are in readers/, built-in datasets in built_in.py.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path

from datm_engine.data import built_in, hub
from datm_engine.data.decoding.decode_images import resize
from datm_engine.data.decoding.image_file import Size
from datm_engine.data.image_sets import FullSet, ImageSet, TrainingCounts, digest
from datm_engine.data.readers import archives, registry
from datm_engine.data.readers.reader import DatasetSource, LoadOptions
from datm_engine.errors import ConfigError, DataError, Fix, Setting
from datm_engine.hints import HELP, command
from datm_engine.runs.events import Emit, Noted, ignore
from datm_engine.settings import image_size
from datm_engine.settings.config import DatasetConfig
from datm_engine.settings.image_size import Shape

__all__ = ["ImageSet", "RealData", "Shape"]

NAMES = tuple(built_in.BUILT_IN)
_HUB_PAGE = re.compile(r"(?:https?://)?(?:www\.)?huggingface\.co/datasets/([\w.-]+/[\w.-]+).*")
_HUB_LIKE = re.compile(r"(?:hf|huggingface)(?:://|[:/])+(?:datasets/)?([\w.-]+/[\w.:-]+)", re.I)
_OWNER_AND_NAME = re.compile(r"\w[\w.-]*/[\w.-]+")
_COMPARED = 10_000  # entries of a folder, which may hold a million


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
        """Return channels, height and width."""
        channels, height, width = self.train.images.shape[1:]
        return channels, height, width


def locate(name: str) -> Path | None:
    """Return the path of a folder or a file, or None for a built-in dataset or one of the Hub.

    Raises ConfigError for anything else, with the nearest name as a fix.
    """
    if name in NAMES or name.startswith(hub.PREFIX):
        return None
    path = os.path.expanduser(name)
    if os.path.exists(path):
        return Path(path)
    wrong = f"dataset {name} is neither a path that exists nor one of {', '.join(NAMES)}"
    raise ConfigError(wrong, _nearest(name, Path(path)))


def _nearest(name: str, path: Path) -> Fix:
    """Return the setting of the name that is likely meant, or a command that lists what exists."""
    if on_hub := _HUB_PAGE.fullmatch(name) or _HUB_LIKE.fullmatch(name):
        return Setting("dataset", f"{hub.PREFIX}{on_hub[1]}")
    # CIFAR-10 and ./cifar10/ mean cifar10.
    plain = re.sub(r"[\s_-]+", "", name.lower().removeprefix("./").rstrip("/"))
    if plain in NAMES:
        return Setting("dataset", plain)
    folder = next(parent for parent in path.parents or (path,) if os.path.isdir(parent))
    choices = {} if "/" in name else {known: known for known in NAMES}
    if folder == path.parent and path.name:
        with suppress(OSError), os.scandir(folder) as entries:  # unreadable: nothing to suggest
            beside = [entry.name for entry in islice(entries, _COMPARED)]
            choices |= {one.lower(): str(folder / one) for one in beside if one[0] != "."}
    wanted = path.name.lower()
    alike = get_close_matches(wanted, choices, n=1)
    if not alike and len(wanted) >= 3:
        alike = [one for one in choices if one.startswith(wanted)]
    if alike:
        return Setting("dataset", choices[alike[0]])
    if _OWNER_AND_NAME.fullmatch(name) and folder != path.parent:
        return Setting("dataset", f"{hub.PREFIX}{name}")
    return command("ls", folder) if name.strip() else HELP


def load(settings: DatasetConfig, data_dir: Path, *, emit: Emit) -> RealData:
    """Load a dataset and split it as the settings state.

    `settings.seed` chooses the training images, and the shares of them that are held out:
    `validation` unless the dataset has a validation part, `test` unless it has a labelled test
    part. Downloads and decoded images are stored in `data_dir`. Raises ConfigError for settings
    that do not fit the dataset, DataError for images that are missing, damaged or unreadable.
    """
    try:
        size = image_size.size_of(settings.resolution)
    except ValueError as problem:
        raise ConfigError(str(problem), Setting("resolution", 32)) from None
    name, path = settings.name, locate(settings.name)
    title = name if path is None else registry.title_of(path)
    options = LoadOptions(title, data_dir, size, settings.skip_damaged)
    full = _source(name, data_dir, emit=emit).load(options, emit=emit)
    if size is not None:
        full = _resized(full, size, f"resizing {title}", emit=emit)
    return _split(title, full, settings, emit=emit)


def peek(name: str, *, data_dir: Path) -> Shape:
    """Return classes, channels and size before decoding, to choose settings by.

    For a folder they come from one image of each class. Archives are unpacked. Raises as `load`
    does, as far as this much reading finds anything wrong.
    """
    return _source(name, data_dir).shape()


def training_counts(name: str, *, data_dir: Path) -> TrainingCounts | None:
    """Count the training images of each class without decoding any. None if unknown (Hub)."""
    return _source(name, data_dir).training_counts()


def is_here(name: str, *, data_dir: Path) -> bool:
    """Return whether `load` downloads nothing."""
    if locate(name) is not None:
        return True
    if name.startswith(hub.PREFIX):
        return hub.is_here(name, data_dir)
    return built_in.is_here(name, data_dir)


def _source(name: str, data_dir: Path, *, emit: Emit = ignore) -> DatasetSource:
    """Return the source of a dataset. Archives are unpacked first."""
    path = locate(name)
    if path is None:
        is_hub = name.startswith(hub.PREFIX)
        return (hub.HubDataset if is_hub else built_in.BuiltInDataset)(name, data_dir)
    if archives.is_archive(path):
        path = archives.unpacked(path, data_dir, emit=emit)
    return registry.reader_of(path)


def _resized(full: FullSet, size: Size, what: str, *, emit: Emit) -> FullSet:
    """Resize all parts. Images that were decoded at this size are returned as they are."""
    width, height = size
    if full.parts["train"].images.shape[2:] == (height, width):
        return full
    import torch

    images = torch.cat([part.images for part in full.parts.values()])
    resized = resize(images, size, what, emit=emit)
    of_parts = resized.split([len(part) for part in full.parts.values()])
    pairs = zip(full.parts.items(), of_parts, strict=True)
    parts = {name: ImageSet(pixels, part.labels) for (name, part), pixels in pairs}
    return FullSet(full.class_names, parts)


def _split(name: str, full: FullSet, settings: DatasetConfig, *, emit: Emit) -> RealData:
    """Choose the training images, and hold out the parts that the dataset does not have."""
    from datm_engine.data import splitting

    wanted, classes, every = settings.train_images, len(full.class_names), full.parts["train"]
    if wanted != "all" and wanted < classes:
        raise ConfigError(
            f"{wanted} training images are fewer than the {classes} classes of {name}",
            Setting("dataset.train_images", classes),
        )
    train, held, tested = splitting.split(every.labels, settings, full.parts)
    available = len(every) - len(tested)
    validation = full.parts.get("validation")
    notes = []
    if "test" not in full.parts:
        lacks = f"{name} has no labelled test part"
        if not len(tested):
            raise DataError(f"{lacks}, and one image a class: none can be held out", HELP)
        notes.append(
            f"{lacks}: {len(tested):,} of {len(every):,} images, {settings.test:.0%} of each "
            "class, are held out as one (dataset.test, dataset.seed)"
        )
    if wanted != "all" and wanted > available:
        notes.append(f"{name} has {available} training images, not {wanted}; all are used")
    if validation is not None:
        notes.append(
            f"{name} has a validation part of {len(validation):,} images: it is used, and "
            "dataset.validation is not applied"
        )
    elif settings.validation > 0 and not len(held):
        notes.append(f"{name} has one training image a class: none is held out for validation")
    for text in notes:
        emit(Noted(text=text))
    # train, validation, test: `digest` covers them in this order.
    parts = (
        every.subset(train),
        every.subset(held) if validation is None else validation,
        full.parts["test"] if "test" in full.parts else every.subset(tested),
    )
    return RealData(name, full.class_names, *parts, digest(full.class_names, *parts))
