"""Where the training, validation and test part of a folder of images are.

FOLDER/train/CLASS/… and FOLDER/test/CLASS/…, by any usual name (`parts.py`), also one level deeper
as archives unpack them; or class folders directly in FOLDER.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data.parts import Part, by_part, part_of
from datm_engine.data.scanning import folders_in
from datm_engine.errors import DataError
from datm_engine.hints import command


@dataclass(frozen=True)
class Layout:
    """`parts`: the folder of each part; "train" is `root` itself where class folders are directly
    in it. `beside`: other folders in `root`. `around`: the folders that hold a part, but nothing
    that is used. `notes`: what was decided."""

    root: Path
    parts: Mapping[Part, Path]
    beside: tuple[Path, ...] = ()
    around: tuple[Path, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def is_split(self) -> bool:
        return self.parts["train"] != self.root


def find_layout(root: Path) -> Layout:
    """Raises DataError without a training part, and for two folders of one part; OSError."""
    notes: tuple[str, ...] = ()
    around: tuple[Path, ...] = ()
    place = _unpacked(root)
    if place != root:
        notes, around = (f"{root} holds one folder, {place.name}/: that is the dataset",), (root,)
    parts = _parts(place)
    if "train" not in parts:
        if parts or len(folders_in(place)) < 2:
            raise incomplete(place)
        return Layout(place, {"train": place}, around=around, notes=notes)
    around += (place,)
    found: dict[Part, Path] = {}
    for part, folder in parts.items():
        found[part] = inner = _same_part_inside(part, folder)
        if inner != folder:
            notes += (f"{folder} holds one folder, {inner.name}/: that is the {part} part",)
            around += (folder,)
    beside = tuple(path for path in folders_in(place) if path not in parts.values())
    return Layout(place, found, beside, around, notes)


def incomplete(root: Path) -> DataError:
    others = [f"{path.name}/" for path in _parts(root).values()]
    only = f", only {' and '.join(others)}" if others else ""
    return DataError(
        f"{root} has no train/ folder{only}; images stand in {root}/train/CLASS/ and "
        f"{root}/test/CLASS/, or in {root}/CLASS/",
        command("ls", root),
    )


def _parts(place: Path) -> dict[Part, Path]:
    grouped = by_part((path.name, path) for path in folders_in(place))
    for part, folders in grouped.items():
        if len(folders) > 1:
            named = " and ".join(f"{path.name}/" for path in folders)
            raise DataError(
                f"{place} has {len(folders)} folders for the {part} part: {named}; only one of "
                "them can be used",
                command("mv", folders[-1], place.parent / f"{place.name}-{folders[-1].name}"),
            )
    return {part: folders[0] for part, folders in grouped.items()}


def _unpacked(root: Path) -> Path:
    """The only folder in `root`, where that holds the parts or class folders."""
    folders = folders_in(root)
    if len(folders) != 1 or part_of(folders[0].name) is not None:
        return root
    inner = folders_in(folders[0])
    holds_parts = any(part_of(path.name) == "train" for path in inner)
    return folders[0] if holds_parts or len(inner) >= 2 else root


def _same_part_inside(part: Part, folder: Path) -> Path:
    """training_set/training_set/CLASS is what some archives unpack to."""
    inner = folders_in(folder)
    return inner[0] if len(inner) == 1 and part_of(inner[0].name) == part else folder
