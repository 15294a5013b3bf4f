"""List the image files of a folder by part and class.

Images lie anywhere below PART/CLASS/; folder_layout.py finds the parts. In Tiny-ImageNet's archive
val/images is flat and val/val_annotations.txt states the classes; its test/ has no labels.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from datm_engine.data.decoding import decode_images
from datm_engine.data.decoding.image_file import EXTENSIONS, HEIC_EXTENSIONS
from datm_engine.data.image_sets import PARTS, PartName, TrainingLabels
from datm_engine.data.readers.folder_layout import FolderLayout, find_layout, incomplete
from datm_engine.data.readers.folder_scanner import HEIC_HINT, Scanner
from datm_engine.errors import DataError
from datm_engine.files import cannot_read
from datm_engine.formatting import plural
from datm_engine.hints import command
from datm_engine.settings.image_size import Shape

ByClass = dict[str, list[Path]]
File = tuple[Path, int]  # with its label


@dataclass(frozen=True)
class Listing:
    """Image files and their labels, which index the class names.

    `parts`: "train", and "validation" and "test" where they are labelled; `root`: where they are.
    `notes`: what is not used, and what was decided.
    """

    root: Path
    class_names: tuple[str, ...]
    parts: Mapping[PartName, list[File]]
    notes: tuple[str, ...]

    @property
    def files(self) -> list[File]:
        """Return the files of all parts, in the order of the parts."""
        return [file for files in self.parts.values() for file in files]


def list_images(root: Path) -> Listing:
    """List images, classes sorted by the names of their folders, images by theirs.

    Raises DataError for a missing part, a class without images, classes that differ, and what
    may not be read.
    """
    try:
        return _Lister(find_layout(root)).listing()
    except OSError as problem:
        raise cannot_read(problem.filename, problem) from None


def peek(root: Path) -> Shape:
    """Return the shape from the first readable image of each class: a size if all agree, one
    channel if all are grey."""
    try:
        layout, scanner = find_layout(root), Scanner()
        folders = list(layout.class_folders("train").values())
        firsts = [decode_images.first_size(scanner.images_below(folder)) for folder in folders]
        if not layout.is_split and not any(any(scanner.images_below(f)) for f in folders):
            raise incomplete(layout.root)
    except OSError as problem:
        raise cannot_read(problem.filename, problem) from None
    seen = [first for first in firsts if first is not None]
    sizes = {size for size, _ in seen}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    channels = (1 if all(grey for _, grey in seen) else 3) if seen else None
    return Shape(len(folders), channels, height, width)


def training_labels(root: Path) -> TrainingLabels:
    """Return the training labels from the names of folders. Raises as `list_images` does."""
    listed = list_images(root)
    labels = torch.tensor([label for _, label in listed.parts["train"]])
    others = (part in listed.parts for part in ("test", "validation"))
    return TrainingLabels(listed.class_names, labels, *others)


@dataclass
class _Labelled:
    """A part's images by class folder. `unknown`: none of its folders is a class of train."""

    folder: Path
    images: ByClass
    unknown: bool = False


@dataclass
class _Lister:
    layout: FolderLayout
    scanner: Scanner = field(default_factory=Scanner)
    notes: list[str] = field(default_factory=list)

    def listing(self) -> Listing:
        root, train = self.layout.root, self._train(self.layout.parts["train"])
        test, validation = self._others(set(train))
        names = sorted(train)
        parts = {
            part: [
                (path, label) for label, name in enumerate(names) for path in images.get(name, [])
            ]
            for part, images in zip(PARTS, (train, validation, test), strict=True)
            if images is not None
        }
        self._note_beside()
        notes = (*self.layout.notes, *self.notes, *self.scanner.note(root))
        return Listing(root, _readable_names(root, names), parts, notes)

    def _train(self, folder: Path) -> ByClass:
        train = self._images("train")
        if not self.layout.is_split and not any(train.values()):
            raise incomplete(folder)
        for name, images in train.items():
            if not images:
                raise self._empty_class(self.layout.class_folders("train")[name])
        if len(train) < 2:
            raise DataError(
                f"{folder} has {len(train)} class folders, at least 2 are needed",
                command("ls", folder),
            )
        self._note_flat(folder, self._flat(folder))
        return train

    def _images(self, part: PartName) -> ByClass:
        folders = self.layout.class_folders(part)
        return {name: list(self.scanner.images_below(path)) for name, path in folders.items()}

    def _flat(self, folder: Path) -> int:
        """Count images directly in a part's folder, which have no class."""
        return 0 if self.layout.by_class else len(self.scanner.images_in(folder))

    def _empty_class(self, folder: Path) -> DataError:
        scanner = Scanner()
        list(scanner.images_below(folder))
        readable = " ".join(EXTENSIONS)
        problem = f"class {folder.name} has no images: {folder} holds none of {readable}"
        if scanner.skipped.keys() & set(HEIC_EXTENSIONS):
            return DataError(f"{problem}, but HEIC images, which take another package", HEIC_HINT)
        return DataError(problem, command("ls", "-la", folder))

    def _others(self, classes: set[str]) -> tuple[ByClass | None, ByClass | None]:
        """Return the test and the validation images by class, None for a part that does not exist
        or has no labels. Without a test part, the validation part is the test part."""
        # Tiny-ImageNet: the annotated validation images are the test part.
        annotations = self.layout.root / "val" / "val_annotations.txt"
        if annotations.is_file():
            flat_folder = annotations.parent / "images"
            flat = list(self.scanner.images_below(flat_folder)) if flat_folder.is_dir() else []
            if flat:
                images = _by_annotation(annotations, {path.name: path for path in flat})
                _check_same_classes(self.layout, annotations.parent, classes, images.keys())
                return images, None
        test = None if annotations.is_file() else self._labelled("test", classes)
        validation = self._labelled("validation", classes)
        if validation is not None and (test is None or test.unknown):
            if test is not None:
                self._note_unlabelled(test.folder, sum(map(len, test.images.values())))
            if not annotations.is_file():
                self.notes.append(
                    f"{self.layout.root} has no labelled test part: {validation.folder.name}/ "
                    "is used as one"
                )
            test, validation = validation, None
        if test is not None:
            _check_same_classes(self.layout, test.folder, classes, test.images.keys())
        if validation is not None:
            self._check_validation(validation, classes)
        return test.images if test else None, validation.images if validation else None

    def _labelled(self, part: PartName, classes: set[str]) -> _Labelled | None:
        """List a part; None unless it has images in one class folder or in two other folders."""
        folder = self.layout.parts.get(part)
        if folder is None:
            return None
        flat = self._flat(folder)
        listed = {name: images for name, images in self._images(part).items() if images}
        images = self._by_class(folder, listed, classes)
        if images.keys() & classes or len(images) > 1:
            self._note_flat(folder, flat)
            return _Labelled(folder, images, unknown=not images.keys() & classes)
        self._note_unlabelled(folder, flat + sum(map(len, listed.values())))
        return None

    def _by_class(self, folder: Path, listed: ByClass, classes: set[str]) -> ByClass:
        """Rename folders that differ from a class in letter case only."""
        # A file system without letter case may have changed the names in one part only.
        by_case: dict[str, set[str]] = {}
        for name in classes:
            by_case.setdefault(name.casefold(), set()).add(name)
        images: ByClass = {}
        for name, paths in listed.items():
            alike = by_case.get(name.casefold(), set())
            same = name
            if name not in classes and len(alike) == 1 and not alike & listed.keys():
                (same,) = alike
                what = f"{folder / name} is taken as class {same}"
                self.notes.append(f"{what}: only the letter case differs")
            images[same] = images.get(same, []) + paths
        return images

    def _check_validation(self, found: _Labelled, classes: set[str]) -> None:
        """Check the classes of a validation part, which may lack some, unlike a test part."""
        present = found.images.keys()
        _check_same_classes(self.layout, found.folder, classes & present, present)
        if missing := len(classes - present):
            self.notes.append(f"{found.folder} has no images of {missing} of the classes")

    def _note_unlabelled(self, folder: Path, count: int) -> None:
        what = f"{plural(count, 'unlabelled image')} in {folder}" if count else f"{folder}, empty"
        self.notes.append(f"{what}: not used")

    def _note_flat(self, folder: Path, count: int) -> None:
        if count:
            what = plural(count, "image")
            self.notes.append(f"{what} directly in {folder}, of no class: not used")

    def _note_beside(self) -> None:
        """Note images beside the parts, which are not used."""
        for folder in self.layout.around:
            if count := len(Scanner().images_in(folder)):
                self.notes.append(f"{plural(count, 'image')} directly in {folder}: not used")
        for folder in self.layout.beside:
            if next(Scanner().images_below(folder), None) is not None:
                self.notes.append(f"images in {folder} are of no part: not used")


def _by_annotation(annotations: Path, flat: Mapping[str, Path]) -> ByClass:
    """Read images by class from lines of a file name, a tab, the class, and more."""
    images: ByClass = {}
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


def _check_same_classes(
    layout: FolderLayout, folder: Path, train: Collection[str], other: Collection[str]
) -> None:
    where = layout.parts["train"]
    for missing, one, lacks in (
        (set(train) - set(other), where, folder),
        (set(other) - set(train), folder, where),
    ):
        if missing:
            some = ", ".join(sorted(missing)[:3]) + (", …" if len(missing) > 3 else "")
            raise DataError(
                f"classes differ: {some} in {one} but not in {lacks}"
                f" ({len(train)} classes in {where.name}, {len(other)} in {folder.name})",
                command("ls", *([layout.root] if layout.by_class else [where, folder])),
            )


def _readable_names(root: Path, folders: list[str]) -> tuple[str, ...]:
    """Return the names of folders, or their first word in WordNet's list if there is one."""
    words = root / "words.txt"
    if not words.is_file():
        return tuple(_as_text(folder) for folder in folders)
    lines = (line.partition("\t") for line in _lines(words))
    known = {folder: meaning.split(",")[0].strip() for folder, _, meaning in lines}
    names = [known.get(folder) or _as_text(folder) for folder in folders]
    uses = Counter(names)
    return tuple(
        name if uses[name] == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    )


def _as_text(name: str) -> str:
    """Return a file's name as text, with replacements if its bytes are not UTF-8."""
    return os.fsencode(name).decode("utf-8", "replace")


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
