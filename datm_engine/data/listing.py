"""Which image files a folder holds, and of which class.

FOLDER/train/CLASS/… and FOLDER/test/CLASS/… (or val), images anywhere below. In Tiny-ImageNet's
archive val/images is flat and val/val_annotations.txt has the classes; its test/ has none.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from datm_engine.data import decoding
from datm_engine.data.arrays import Shape
from datm_engine.errors import DataError
from datm_engine.hints import command


@dataclass(frozen=True)
class Listing:
    """Which image files there are, and of which class; labels index the class names."""

    root: Path
    class_names: tuple[str, ...]
    train: list[tuple[Path, int]]
    test: list[tuple[Path, int]]


def list_images(root: Path) -> Listing:
    """Classes in the order of their folders' names, images in the order of theirs.

    Raises DataError for a missing part, a class without images, classes that differ, and what
    may not be read.
    """
    try:
        return _list_images(root)
    except OSError as problem:
        raise _unreadable(problem) from None


def peek(root: Path) -> Shape:
    """From one image of each class: its size if all agree; one channel if all are grey."""
    try:
        folders = _class_folders(_train(root))
        firsts = [next(_images(folder), None) for folder in folders]
    except OSError as problem:
        raise _unreadable(problem) from None
    seen = [decoding.size_of(path) for path in firsts if path is not None]
    sizes = {size for size, _ in seen}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    channels = (1 if all(grey for _, grey in seen) else 3) if seen else None
    return Shape(len(folders), channels, height, width)


def _list_images(root: Path) -> Listing:
    train = {folder.name: list(_images(folder)) for folder in _class_folders(_train(root))}
    for folder, images in train.items():
        if not images:
            raise DataError(
                f"class {folder} has no images: {root / 'train' / folder} holds none of "
                f"{' '.join(decoding.EXTENSIONS)}",
                command("ls", "-la", root / "train" / folder),
            )
    if len(train) < 2:
        raise DataError(
            f"{root / 'train'} has {len(train)} class folders, at least 2 are needed",
            command("ls", root / "train"),
        )
    where, test = _list_test(root, set(train))
    _check_same_classes(root, where, set(train), set(test))
    folders = sorted(train)
    return Listing(
        root,
        _readable_names(root, folders),
        [(path, label) for label, folder in enumerate(folders) for path in train[folder]],
        [(path, label) for label, folder in enumerate(folders) for path in test[folder]],
    )


def _train(root: Path) -> Path:
    if (root / "train").is_dir():
        return root / "train"
    raise _incomplete(root, "no train/")


def _incomplete(root: Path, lacks: str) -> DataError:
    return DataError(
        f"{root} has {lacks} folder; images stand in {root}/train/CLASS/ and {root}/test/CLASS/",
        command("ls", root),
    )


def _list_test(root: Path, classes: set[str]) -> tuple[Path, dict[str, list[Path]]]:
    """The test part's folder, and its images by class; classes without images are left out."""
    annotations = root / "val" / "val_annotations.txt"
    if annotations.is_file():
        images = root / "val" / "images"
        flat = {path.name: path for path in _images(images)} if images.is_dir() else {}
        if flat:
            return root / "val", _by_annotation(annotations, flat)
        candidates = [root / "val"]
    else:
        candidates = [root / part for part in ("test", "val") if (root / part).is_dir()]
    if not candidates:
        raise _incomplete(root, "neither a test/ nor a val/")
    found = []
    for part in candidates:
        listed = {folder.name: list(_images(folder)) for folder in _class_folders(part)}
        found.append((part, {name: images for name, images in listed.items() if images}))
        if classes & found[-1][1].keys():  # a test/ without labels beside a val/ is common
            return found[-1]
    return found[0]


def _by_annotation(annotations: Path, flat: dict[str, Path]) -> dict[str, list[Path]]:
    """Images by class; each line has a file name, a tab, the class, and more."""
    images: dict[str, list[Path]] = {}
    named = set()
    for number, line in enumerate(_lines(annotations), 1):
        if not line:
            continue
        file, _, rest = line.partition("\t")
        path = flat.get(file)
        if path is None or not rest:
            raise DataError(
                f"{annotations} line {number}: {file} is not in {annotations.parent / 'images'}; "
                "unpack the archive again",
                command("ls", "-l", annotations.parent),
            )
        images.setdefault(rest.split("\t")[0], []).append(path)
        named.add(file)
    unnamed = sorted(set(flat) - named)
    if unnamed:
        raise DataError(
            f"{annotations} does not say which class {flat[unnamed[0]]} is of; "
            "unpack the archive again",
            command("ls", "-l", annotations),
        )
    return images


def _check_same_classes(root: Path, where: Path, train: set[str], test: set[str]) -> None:
    for missing, one, other in (
        (train - test, root / "train", where),
        (test - train, where, root / "train"),
    ):
        if missing:
            some = ", ".join(sorted(missing)[:3]) + (", …" if len(missing) > 3 else "")
            raise DataError(
                f"classes differ: {some} in {one} but not in {other}"
                f" ({len(train)} classes in train, {len(test)} in {where.name})",
                command("ls", root / "train", where),
            )


def _readable_names(root: Path, folders: list[str]) -> tuple[str, ...]:
    """The folders' names, or the first word for them in WordNet's list, where there is one."""
    words = root / "words.txt"
    if not words.is_file():
        return tuple(as_text(folder) for folder in folders)
    lines = (line.partition("\t") for line in _lines(words))
    known = {folder: meaning.split(",")[0].strip() for folder, _, meaning in lines}
    names = [known.get(folder) or as_text(folder) for folder in folders]
    uses = Counter(names)
    return tuple(
        name if uses[name] == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    )


def as_text(name: str) -> str:
    """A file's name as it can be printed, also where its bytes are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _class_folders(part: Path) -> list[Path]:
    entries = [path for path in part.iterdir() if not path.name.startswith(".")]
    return sorted(path for path in entries if path.is_dir())


def _images(folder: Path) -> Iterator[Path]:
    """Image files below a folder in a fixed order; links to folders below it are not followed."""

    def stop(problem: OSError) -> None:
        raise problem

    for place, below, names in os.walk(folder, onerror=stop):
        below[:] = sorted(name for name in below if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in decoding.EXTENSIONS:
                yield Path(place, name)


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()


def _unreadable(problem: OSError) -> DataError:
    place = str(problem.filename)
    return DataError(f"{place} cannot be read: {problem.strerror}", command("ls", "-ld", place))
