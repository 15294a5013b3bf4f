"""Find the training, validation and test part of a folder of images.

They are FOLDER/train/CLASS/… and FOLDER/test/CLASS/…, by any usual name; or FOLDER/CLASS/train/…;
or class folders directly in FOLDER. As in archives, all may lie below folders that hold one folder.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from datm_engine.data.image_sets import NAMES, PartName, by_part, part_of
from datm_engine.data.readers.folder_scanner import Scanner, folders_in
from datm_engine.errors import DataError
from datm_engine.hints import command


@dataclass(frozen=True)
class FolderLayout:
    """Where the images of each part are.

    `parts`: the folder of each part; for "train" it is `root` if class folders are directly in it.
    `by_class`: the folders of each class if the parts are inside of class folders; the values of
    `parts` are then only names, "CLASS/train". `beside`: other folders in `root`. `around`: folders
    that hold a part; images directly in them are not used. `notes`: what was decided.
    """

    root: Path
    parts: Mapping[PartName, Path]
    beside: tuple[Path, ...] = ()
    around: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()
    by_class: Mapping[PartName, Mapping[str, Path]] = field(default_factory=dict)

    def class_folders(self, part: PartName) -> Mapping[str, Path]:
        """Return the folder of each class's images. Raises OSError."""
        if self.by_class:
            return self.by_class[part]
        return {path.name: path for path in folders_in(self.parts[part])}

    @property
    def is_split(self) -> bool:
        return self.parts["train"] != self.root


def find_layout(root: Path) -> FolderLayout:
    """Find the layout. Raises DataError without a training part, and for two folders of one part;
    OSError for unreadable folders."""
    notes: tuple[str, ...] = ()
    around: tuple[Path, ...] = ()
    base = _below_single_folders(root)
    if base != root:
        between = reversed(base.relative_to(root).parents)
        around = tuple(root / folder for folder in between)
        notes = (f"{root} holds one folder, {base.relative_to(root)}/: that is the dataset",)
    parts = _parts(base)
    if "train" not in parts:
        if parts or len(folders_in(base)) < 2:
            raise incomplete(base)
        return _class_folders(base, around, notes)
    beside = tuple(path for path in folders_in(base) if path not in parts.values())
    around += (base,)
    for part, folder in parts.items():
        inner = folders_in(folder)
        # training_set/training_set/CLASS, as in some archives.
        if len(inner) == 1 and part_of(inner[0].name) == part:
            parts[part] = inner[0]
            notes += (f"{folder} holds one folder, {inner[0].name}/: that is the {part} part",)
            around += (folder,)
    return FolderLayout(base, parts, beside, around, notes)


def _class_folders(base: Path, around: tuple[Path, ...], notes: tuple[str, ...]) -> FolderLayout:
    """Return the layout of ROOT/CLASS/…, or of ROOT/CLASS/PART/… with the same parts for all."""
    inner = {path: folders_in(path) for path in folders_in(base)}
    parted = [path for path, below in inner.items() if any(part_of(one.name) for one in below)]
    if not parted:
        return FolderLayout(base, {"train": base}, around=around, notes=notes)
    first, *others = ({part_of(one.name) for one in below} for below in inner.values())
    is_same = all(parts == first for parts in others) and "train" in first and None not in first
    if is_same and not any(Scanner().images_in(path) for path in inner):
        by_name = {path.name: _parts(path) for path in inner}
        named = {part: base / "CLASS" / part for part in NAMES if part in first}
        by_class = {part: {name: by_name[name][part] for name in by_name} for part in named}
        notes += (f"{base} has the parts inside of its class folders: {', '.join(named)}",)
        return FolderLayout(base, named, (), (*around, base), notes, by_class)
    more = f" and {len(parted) - 1} more" if len(parted) > 1 else ""
    notes += (f"class folders with part folders inside are read as one part: {parted[0]}{more}",)
    return FolderLayout(base, {"train": base}, around=around, notes=notes)


def incomplete(root: Path) -> DataError:
    """Return the error for a folder without a training part."""
    others = [f"{path.name}/" for path in _parts(root).values()]
    only = f", only {' and '.join(others)}" if others else ""
    return DataError(
        f"{root} has no train/ folder{only}; images stand in {root}/train/CLASS/ and "
        f"{root}/test/CLASS/, or in {root}/CLASS/",
        command("ls", root),
    )


def _parts(base: Path) -> dict[PartName, Path]:
    """Return the folder of each part. Raises DataError for two folders of one part."""
    grouped = by_part((path.name, path) for path in folders_in(base))
    for part, folders in grouped.items():
        if len(folders) > 1:
            named = " and ".join(f"{path.name}/" for path in folders)
            raise DataError(
                f"{base} has {len(folders)} folders for the {part} part: {named}; only one of "
                "them can be used",
                command("mv", folders[-1], base.parent / f"{base.name}-{folders[-1].name}"),
            )
    return {part: folders[0] for part, folders in grouped.items()}


def _below_single_folders(root: Path) -> Path:
    """Return the folder of the parts or class folders, below folders that hold one folder."""
    base, inner = root, folders_in(root)
    # An archive often unpacks to pets/pets/train; a folder named train is not passed by.
    while len(inner) == 1 and part_of(inner[0].name) is None:
        if base != root and Scanner().images_in(base):  # a folder with images is a class
            return root
        base, inner = inner[0], folders_in(inner[0])
    holds_parts = any(part_of(path.name) == "train" for path in inner)
    return base if holds_parts or len(inner) >= 2 else root
