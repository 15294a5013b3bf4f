"""List the image files of a folder by part and class.

Images lie anywhere below PART/CLASS/; folder_layout.py finds the parts. In Tiny-ImageNet's archive
val/images is flat and val/val_annotations.txt states the classes; its test/ has no labels.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from datm_engine.data.decoding import decode_images
from datm_engine.data.decoding.image_file import EXTENSIONS, HEIC_EXTENSIONS
from datm_engine.data.image_sets import PARTS, PartName
from datm_engine.data.readers.folder_layout import FolderLayout, find_layout, incomplete
from datm_engine.data.readers.folder_scanner import HEIC_HINT, Scanner, readable_name
from datm_engine.errors import DataError
from datm_engine.files import cannot_read
from datm_engine.formatting import plural, some_of
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
    firsts, has_images = [], False
    try:
        layout, scanner = find_layout(root), Scanner()
        folders = layout.class_folders("train")
        for folder in folders.values():
            for path in scanner.images_below(folder):
                has_images = True
                with suppress(DataError):  # named when it is decoded
                    firsts.append(decode_images.size_of(path))
                    break
    except OSError as problem:
        raise cannot_read(problem.filename, problem) from None
    if not layout.is_split and not has_images:
        raise incomplete(layout.root)
    sizes = {size for size, _ in firsts}
    width, height = sizes.pop() if len(sizes) == 1 else (None, None)
    channels = (1 if all(grey for _, grey in firsts) else 3) if firsts else None
    return Shape(len(folders), channels, height, width)


@dataclass
class _Lister:
    layout: FolderLayout
    scanner: Scanner = field(default_factory=Scanner)
    notes: list[str] = field(default_factory=list)

    def listing(self) -> Listing:
        layout, root, train = self.layout, self.layout.root, self._images("train")
        if not layout.is_split and not any(train.values()):
            raise incomplete(root)
        for name, images in train.items():
            if not images:
                raise _empty_class(layout.class_folders("train")[name])
        if len(train) < 2:
            folder = layout.parts["train"]
            wrong = f"{folder} has {len(train)} class folders, at least 2 are needed"
            raise DataError(wrong, command("ls", folder))
        self._note_flat("train")
        by_part = {"train": train, **self._others(set(train))}
        for folder in layout.around:
            if count := len(Scanner().images_in(folder)):
                self.notes.append(f"{plural(count, 'image')} directly in {folder}: not used")
        for folder in layout.beside:
            if next(Scanner().images_below(folder), None) is not None:
                self.notes.append(f"images in {folder} are of no part: not used")
        names = sorted(train)
        parts = {
            part: [
                (path, label)
                for label, name in enumerate(names)
                for path in by_part[part].get(name, [])
            ]
            for part in PARTS
            if part in by_part
        }
        notes = (*layout.notes, *self.notes, *self.scanner.note(root))
        return Listing(root, _readable_names(root, names), parts, notes)

    def _images(self, part: PartName) -> ByClass:
        folders = self.layout.class_folders(part)
        return {name: list(self.scanner.images_below(path)) for name, path in folders.items()}

    def _flat(self, part: PartName) -> int:
        """Count images directly in a part's folder, which have no class."""
        is_inside = bool(self.layout.by_class)  # the part is a folder of each class
        return 0 if is_inside else len(self.scanner.images_in(self.layout.parts[part]))

    def _note_flat(self, part: PartName) -> None:
        if count := self._flat(part):
            what = plural(count, "image")
            self.notes.append(
                f"{what} directly in {self.layout.parts[part]}, of no class: not used"
            )

    def _note_unlabelled(self, folder: Path, count: int) -> None:
        what = f"{plural(count, 'unlabelled image')} in {folder}" if count else f"{folder}, empty"
        self.notes.append(f"{what}: not used")

    def _others(self, classes: set[str]) -> dict[PartName, ByClass]:
        """Return the images of the test and the validation part by class, if they have labels.
        Without a test part, the validation part is the test part."""
        # Tiny-ImageNet: the annotated validation images are the test part.
        annotations = self.layout.root / "val" / "val_annotations.txt"
        flat_folder = annotations.parent / "images"
        if annotations.is_file() and flat_folder.is_dir():
            flat = {path.name: path for path in self.scanner.images_below(flat_folder)}
            if flat:
                images = _by_annotation(annotations, flat)
                self._check_same_classes(annotations.parent, classes, images.keys())
                return {"test": images}
        others: tuple[PartName, ...] = ("test", "validation")
        labelled = {part: self._labelled(part, classes) for part in others}
        listed = {part: images for part, images in labelled.items() if images}
        folders = dict(self.layout.parts)
        if "validation" in listed and not labelled["test"].keys() & classes:
            if "test" in listed:  # its folders are no classes
                count = sum(map(len, listed["test"].values()))
                self._note_unlabelled(folders["test"], count)
            listed, folders["test"] = {"test": listed["validation"]}, folders["validation"]
            self.notes.append(
                f"{self.layout.root} has no labelled test part: {folders['test'].name}/ is used "
                "as one"
            )
        for part, images in listed.items():
            # A validation part may lack some classes, unlike a test part.
            wanted = classes if part == "test" else classes & images.keys()
            self._check_same_classes(folders[part], wanted, images.keys())
            if missing := len(classes - wanted):
                self.notes.append(f"{folders[part]} has no images of {missing} of the classes")
        return listed

    def _labelled(self, part: PartName, classes: set[str]) -> ByClass:
        """Return a part's images by class; none unless it has some in one class folder or in two
        other folders. A folder may differ from a class in letter case."""
        folder = self.layout.parts.get(part)
        if folder is None:
            return {}
        listed = {name: images for name, images in self._images(part).items() if images}
        # A file system without letter case may have changed the names in one part only.
        by_case: dict[str, set[str]] = defaultdict(set)
        for name in classes:
            by_case[name.casefold()].add(name)
        images: ByClass = {}
        for name, paths in listed.items():
            alike, same = by_case[name.casefold()], name
            if name not in classes and len(alike) == 1 and not alike & listed.keys():
                (same,) = alike
                what = f"{folder / name} is taken as class {same}"
                self.notes.append(f"{what}: only the letter case differs")
            images[same] = images.get(same, []) + paths
        if images.keys() & classes or len(images) > 1:
            self._note_flat(part)
            return images
        self._note_unlabelled(folder, self._flat(part) + sum(map(len, listed.values())))
        return {}

    def _check_same_classes(
        self, folder: Path, train: Collection[str], other: Collection[str]
    ) -> None:
        where = self.layout.parts["train"]
        for missing, one, lacks in (
            (set(train) - set(other), where, folder),
            (set(other) - set(train), folder, where),
        ):
            if missing:
                looked_at = [self.layout.root] if self.layout.by_class else [where, folder]
                raise DataError(
                    f"classes differ: {some_of(sorted(missing))} in {one} but not in {lacks}"
                    f" ({len(train)} classes in {where.name}, {len(other)} in {folder.name})",
                    command("ls", *looked_at),
                )


def _empty_class(folder: Path) -> DataError:
    scanner = Scanner()
    list(scanner.images_below(folder))
    readable = " ".join(EXTENSIONS)
    wrong = f"class {folder.name} has no images: {folder} holds none of {readable}"
    if scanner.skipped.keys() & set(HEIC_EXTENSIONS):
        return DataError(f"{wrong}, but HEIC images, which take another package", HEIC_HINT)
    return DataError(wrong, command("ls", "-la", folder))


def _by_annotation(annotations: Path, flat: Mapping[str, Path]) -> ByClass:
    """Read images by class from lines of a file name, a tab, the class, and more."""
    images: ByClass = {}
    unnamed = dict(flat)
    for number, line in enumerate(_lines(annotations), 1):
        if not line:
            continue
        file, _, rest = line.partition("\t")
        if file not in flat or not rest:
            raise DataError(
                f"{annotations} line {number}: {file} is not in {annotations.parent / 'images'}; "
                "unpack the archive again",
                command("ls", "-l", annotations.parent),
            )
        images.setdefault(rest.split("\t")[0], []).append(flat[file])
        unnamed.pop(file, None)
    if unnamed:
        raise DataError(
            f"{annotations} does not say which class {min(unnamed.values())} is of; "
            "unpack the archive again",
            command("ls", "-l", annotations),
        )
    return images


def _readable_names(root: Path, folders: list[str]) -> tuple[str, ...]:
    """Return the names of folders, or their first word in WordNet's list if there is one."""
    words = root / "words.txt"
    lines = [line.partition("\t") for line in _lines(words)] if words.is_file() else []
    known = {folder: meaning.split(",")[0].strip() for folder, _, meaning in lines}
    names = [known.get(folder) or readable_name(folder) for folder in folders]
    uses = Counter(names)
    return tuple(
        name if uses[name] == 1 else f"{name} ({folder})"
        for name, folder in zip(names, folders, strict=True)
    )


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8", errors="replace").splitlines()
