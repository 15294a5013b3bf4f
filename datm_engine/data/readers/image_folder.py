"""Load a folder of images. What is decoded is stored, and read again while no file changes."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

from datm_engine.data.decoding import decode_images
from datm_engine.data.decoding.decode_images import read_file
from datm_engine.data.image_sets import FullSet, TrainingCounts
from datm_engine.data.readers import folder_listing, safetensors_file
from datm_engine.data.readers.folder_listing import Listing, list_images
from datm_engine.data.readers.reader import DatasetReader, LoadOptions
from datm_engine.errors import DataError
from datm_engine.files import check_writable, make_folder
from datm_engine.hints import command
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.image_size import Shape

_DECODER = "3"  # increase it when the same files are decoded to other pixels


class ImageFolderReader(DatasetReader):
    @staticmethod
    def recognizes(path: Path) -> bool:
        return path.is_dir()

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Decode the images, or read what was decoded before if no file has changed since."""
        listing, name = list_images(self.path), options.name
        for text in listing.notes:
            emit(Noted(text=text))
        paths = [path for path, _ in listing.files]
        digests = decode_images.in_chunks(_digest, paths, f"reading {name}", emit=emit)
        folder = options.data_dir / "decoded"
        make_folder(folder)
        stored = folder / f"{name[:40]}-{_key(listing, digests, options)}.safetensors"
        if stored.is_file():
            try:
                full, metadata = safetensors_file.read(stored)
            except DataError as problem:
                emit(Noted(text=f"{problem.message}; decoding the images again"))
            else:
                for text in json.loads(metadata.get("notes", "[]")):
                    emit(Noted(text=text))
                return full
        check_writable(folder)  # before decoding, which may take long
        full, notes = _decode(listing, digests, options, emit=emit)
        safetensors_file.save(stored, full, notes)
        return full

    def shape(self) -> Shape:
        return folder_listing.peek(self.path)

    def training_counts(self) -> TrainingCounts:
        """Count the images of each folder."""
        listing = list_images(self.path)
        labels = [label for _, label in listing.parts["train"]]
        return TrainingCounts.of_labels(listing.class_names, labels, tuple(listing.parts))


def _decode(
    listing: Listing, digests: Sequence[bytes], options: LoadOptions, *, emit: Emit
) -> tuple[FullSet, tuple[str, ...]]:
    import torch

    paths = [path for path, _ in listing.files]

    def read(index: int) -> bytes:
        encoded = read_file(paths[index])
        if hashlib.sha256(encoded).digest() != digests[index]:
            wrong = f"{paths[index]} changed while it was being read"
            raise DataError(wrong, command("ls", "-l", paths[index]))
        return encoded

    decoded = decode_images.decode(paths, read, options, emit=emit)
    labels = {part: torch.tensor([n for _, n in files]) for part, files in listing.parts.items()}
    fix = command("ls", "-lR", listing.root)
    parts = decoded.parts(labels, listing.class_names, ["train", "test"], listing.root, fix)
    return FullSet(listing.class_names, parts), decoded.notes


def _digest(path: Path) -> bytes:
    return hashlib.sha256(read_file(path)).digest()


def _key(listing: Listing, contents: Sequence[bytes], options: LoadOptions) -> str:
    """Return a key of all that decoded images depend on: the size, and each file's class, name and
    bytes."""
    stated = [_DECODER, options.skip_damaged, listing.class_names]
    key = hashlib.sha256(json.dumps(stated).encode())
    parts = [part for part, files in listing.parts.items() for _ in files]
    for part, (path, label), content in zip(parts, listing.files, contents, strict=True):
        key.update(f"\n{part} {label} {content.hex()} ".encode())
        key.update(os.fsencode(path.relative_to(listing.root)))
    size = "x".join(map(str, options.resolution or ["native"]))
    return f"{size}-{key.hexdigest()[:32]}"
