"""Find which parquet files of a folder are the training, validation and test part.

A file's part is stated by its name or by a folder's: train-00000-of-00001.parquet,
default/test/0000.parquet, mnist_test.parquet. Folders that have a training part each are
configurations of the Hub, of which one has to be chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data.decoding.image_file import EXTENSIONS
from datm_engine.data.image_sets import PartName, part_of
from datm_engine.errors import DataError, Setting
from datm_engine.hints import command

SUFFIX = ".parquet"


@dataclass(frozen=True)
class Files:
    """`notes` say which files are skipped, and why."""

    parts: dict[PartName, list[Path]]
    notes: tuple[str, ...]


def are_dataset(root: Path) -> bool:
    """Return whether a path holds a dataset in parquet files, and not tables of metadata of images.

    True for a parquet file, and for a folder with a parquet file at most one folder deep whose name
    states its part, or that lies in a folder named by a part with no image below it, or with
    parquet files and no image at all.
    """
    if not root.is_dir():
        return root.suffix.lower() == SUFFIX
    near = list(_near(root))
    stating = {path.parent for path in near if _part_of(path, root)}
    return (
        any(map(_part_in_name, near))
        or any(_without_images(folder) for folder in stating)
        or _without_images(root)
    )


def _without_images(root: Path) -> bool:
    """Return whether a folder has parquet files and no image, at any depth."""
    has_tables = False
    for _, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not name.startswith(".")]
        suffixes = {Path(name).suffix.lower() for name in names if not name.startswith(".")}
        if suffixes.intersection(EXTENSIONS):
            return False
        has_tables = has_tables or SUFFIX in suffixes
    return has_tables


def _near(root: Path) -> Iterator[Path]:
    """Yield parquet files at most one folder deep, by names: there may be a million images."""
    for folder, folders, names in os.walk(root):
        if folder != str(root):
            folders.clear()
        yield from (Path(folder, name) for name in names if name.lower().endswith(SUFFIX))


def find(root: Path) -> Files:
    """Find the files of each part. Raises DataError without a training part, and for several
    configurations."""
    if not root.is_dir():
        return _beside(root)
    paths = sorted(
        path
        for path in root.rglob("*")
        if path.suffix.lower() == SUFFIX
        and path.is_file()
        and not _is_hidden(path.relative_to(root))
    )
    stated = {path: part for path in paths if (part := _part_of(path, root)) is not None}
    if not stated:  # no split: a share of it is held out
        folders = sorted({path.parent for path in paths})
        if len(folders) > 1:
            raise _several(root, folders)
        return Files({"train": paths}, ())
    groups: dict[Path, dict[PartName, list[Path]]] = {}
    for path, part in stated.items():
        groups.setdefault(_configuration(path, root), {}).setdefault(part, []).append(path)
    notes = _skipped(root, [path for path in paths if path not in stated])
    return _one_of(root, groups, notes)


def _beside(file: Path) -> Files:
    """Return the file alone, or with the other parts in its folder if its name states a part."""
    if _part_in_name(file) is None:
        return Files({"train": [file]}, ())
    parts: dict[PartName, list[Path]] = {}
    for path in sorted(file.parent.iterdir()):
        part = _part_in_name(path) if path.suffix.lower() == SUFFIX else None
        if part is not None and path.is_file():
            parts.setdefault(part, []).append(path)
    if "train" not in parts:
        raise _no_train(file.parent, parts)
    return Files(parts, ())


def _one_of(
    root: Path, groups: dict[Path, dict[PartName, list[Path]]], notes: tuple[str, ...]
) -> Files:
    training = [folder for folder, parts in groups.items() if "train" in parts]
    if not training:
        raise _no_train(root, {part: [] for parts in groups.values() for part in parts})
    if len(training) > 1:
        raise _several(root, training)
    chosen = dict(groups.pop(training[0]))
    others = {folder: parts for folder, parts in groups.items() if parts}
    if len(others) == 1 and len(chosen) == 1:  # a/train.parquet and b/test.parquet
        return Files(chosen | others.popitem()[1], notes)
    left = [path for parts in others.values() for paths in parts.values() for path in paths]
    return Files(chosen, (*notes, *_skipped(root, left)))


def _configuration(path: Path, root: Path) -> Path:
    """Return the folder of a file's configuration: the one above the first folder that states a
    part, or the file's own folder."""
    folders = path.relative_to(root).parts[:-1]
    cut = next((n for n, folder in enumerate(folders) if _part_of_folder(folder)), len(folders))
    return root.joinpath(*folders[:cut])


def _part_of(path: Path, root: Path) -> PartName | None:
    """Return the part that a file's name states, or its nearest folder that states one."""
    folders = reversed(path.relative_to(root).parts[:-1])
    return _part_in_name(path) or next(filter(None, map(_part_of_folder, folders)), None)


def _part_of_folder(name: str) -> PartName | None:
    """Return the part of train/ or, as Spark names the folder of a table, train.parquet/."""
    return part_of(name.removesuffix(SUFFIX))


def _part_in_name(path: Path) -> PartName | None:
    """Return the part that a name states: train-00000-of-00001-0a1b, Test_00, mnist_train, …"""
    # Shards are numbered: train-00000-of-00001-0a1b, train_00.
    stem = re.sub(r"[-_.]?\d+-of-\d+.*$", "", path.stem)
    stem = re.sub(r"[-_. ]*\d+$", "", stem)
    candidates = (stem, re.split(r"[-.]", stem)[0], re.split(r"[-_. ]", stem)[-1])
    return next(filter(None, map(part_of, candidates)), None)


def _is_hidden(path: Path) -> bool:
    return any(word.startswith(".") for word in path.parts)


def _skipped(root: Path, paths: list[Path]) -> tuple[str, ...]:
    if not paths:
        return ()
    some = ", ".join(str(path.relative_to(root)) for path in paths[:3])
    more = ", …" if len(paths) > 3 else ""
    verb = "file is" if len(paths) == 1 else "files are"
    return (f"{len(paths)} parquet {verb} of no part that is used, and skipped: {some}{more}",)


def _several(root: Path, folders: list[Path]) -> DataError:
    named = ", ".join(str(folder.relative_to(root)) for folder in folders[:5])
    more = ", …" if len(folders) > 5 else ""
    inside = next(folder for folder in sorted(folders) if folder != root)
    return DataError(
        f"{root} has {len(folders)} configurations, each with a train part: {named}{more}; "
        "choose one",
        Setting("dataset", inside),
    )


def _no_train(root: Path, parts: dict[PartName, list[Path]]) -> DataError:
    return DataError(
        f"{root} has parquet files of {', '.join(sorted(parts))}, and none of a train part",
        command("ls", "-R", root),
    )
