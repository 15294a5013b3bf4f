"""Find which parquet files of a folder are the training, validation and test part.

A file's part is stated by its name or by a folder's: train-00000-of-00001.parquet,
default/test/0000.parquet, mnist_test.parquet. Folders that have a training part each are
configurations of the Hub, of which one has to be chosen.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data.decoding.image_file import EXTENSIONS
from datm_engine.data.image_sets import PartName, by_part, part_of
from datm_engine.errors import DataError, Setting
from datm_engine.formatting import some_of
from datm_engine.hints import command

SUFFIX = ".parquet"


@dataclass(frozen=True)
class Files:
    """`notes` say which files are skipped, and why."""

    parts: Mapping[PartName, list[Path]]
    notes: tuple[str, ...] = ()


def are_dataset(root: Path) -> bool:
    """Return whether a path holds a dataset in parquet files, and not tables of metadata of images.

    True for a parquet file, and for a folder with a parquet file at most one folder deep whose name
    states its part, or that lies in a folder named by a part with no image below it, or with
    parquet files and no image at all.
    """
    if not root.is_dir():
        return root.suffix.lower() == SUFFIX
    near = []
    for folder, folders, names in os.walk(root):
        if folder != str(root):
            folders.clear()  # there may be a million images below
        near += [Path(folder, name) for name in names if name.lower().endswith(SUFFIX)]
    stating = {path.parent for path in near if _part_of(path, root)}
    return any(map(_part_in_name, near)) or any(map(_without_images, [*stating, root]))


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


def find(root: Path) -> Files:
    """Find the files of each part. Raises DataError without a training part, and for several
    configurations.

    A file stands alone, or with the other parts in its folder if its name states a part.
    """
    if not root.is_dir():
        if _part_in_name(root) is None:
            return Files({"train": [root]})
        beside = [path for path in sorted(root.parent.iterdir()) if _is_table(path)]
        parts = by_part((_part_in_name(path) or "", path) for path in beside)
        if "train" not in parts:
            raise _no_train(root.parent, parts)
        return Files(parts)
    paths = [
        path
        for path in sorted(root.rglob("*"))
        if _is_table(path)
        and not any(name.startswith(".") for name in path.relative_to(root).parts)
    ]
    stated = {path: part for path in paths if (part := _part_of(path, root)) is not None}
    if not stated:  # one part, of which a share is held out
        folders = sorted({path.parent for path in paths})
        if len(folders) > 1:
            raise _several(root, folders)
        return Files({"train": paths})
    configurations: dict[Path, dict[PartName, list[Path]]] = {}
    for path, part in stated.items():
        parts = configurations.setdefault(_configuration(path, root), {})
        parts.setdefault(part, []).append(path)
    training = [folder for folder, parts in configurations.items() if "train" in parts]
    if not training:
        raise _no_train(root, set(stated.values()))
    if len(training) > 1:
        raise _several(root, training)
    used = configurations.pop(training[0])
    if len(configurations) == 1 and len(used) == 1:  # a/train.parquet and b/test.parquet
        used |= configurations.popitem()[1]
    of_parts = {path for files in used.values() for path in files}
    skipped = [str(path.relative_to(root)) for path in paths if path not in of_parts]
    if not skipped:
        return Files(used)
    verb = "file is" if len(skipped) == 1 else "files are"
    note = f"{len(skipped)} parquet {verb} of no part that is used, and skipped: {some_of(skipped)}"
    return Files(used, (note,))


def _is_table(path: Path) -> bool:
    return path.suffix.lower() == SUFFIX and path.is_file()


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


def _several(root: Path, folders: list[Path]) -> DataError:
    named = some_of([str(folder.relative_to(root)) for folder in folders], 5)
    inside = next(folder for folder in sorted(folders) if folder != root)
    return DataError(
        f"{root} has {len(folders)} configurations, each with a train part: {named}; choose one",
        Setting("dataset", inside),
    )


def _no_train(root: Path, parts: Iterable[PartName]) -> DataError:
    return DataError(
        f"{root} has parquet files of {', '.join(sorted(parts))}, and none of a train part",
        command("ls", "-R", root),
    )
