"""Images in class folders as arrays: decoded once, and kept for as long as no file changes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from pathlib import Path

import torch
from torch import Tensor

from datm_engine.data.decoding import decode_images
from datm_engine.data.decoding.decoding_report import damaged_error, skipped_note
from datm_engine.data.image_sets import FullSet, ImageSet
from datm_engine.data.readers import safetensors_file
from datm_engine.data.readers.folder_listing import Listing, list_images
from datm_engine.errors import DataError
from datm_engine.files import cannot_write, make_folder
from datm_engine.hints import command
from datm_engine.runs.events import Emit, Noted

_DECODER = "3"  # to be raised when the same files come to give other pixels


def load(
    root: Path,
    *,
    name: str,
    data_dir: Path,
    resolution: decode_images.Size | None,
    skip_damaged: bool = False,
    emit: Emit,
) -> FullSet:
    """Decoded the first time; afterwards read from DATA_DIR/decoded while no file has changed.

    `skip_damaged`: images that cannot be read are skipped and reported, not refused.
    """
    listing = list_images(root)
    for text in listing.notes:
        emit(Noted(text=text))
    paths = [path for path, _ in listing.files]
    contents = decode_images.in_chunks(
        decode_images.content_of, paths, f"reading {name}", emit=emit
    )
    folder = data_dir / "decoded"
    make_folder(folder)
    key = _key(listing, contents, resolution, skip_damaged)
    cached = folder / f"{name[:40]}-{key}.safetensors"
    if cached.is_file():
        try:
            full, notes = safetensors_file.read(cached), safetensors_file.read_notes(cached)
        except DataError as problem:
            emit(Noted(text=f"{problem.message}; decoding the images again"))
        else:
            for text in notes:
                emit(Noted(text=text))
            return full
    if not os.access(folder, os.W_OK | os.X_OK):  # found out before decoding, not after
        raise cannot_write(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    decoded = decode_images.decode(paths, contents, resolution, f"decoding {name}", emit=emit)
    if decoded.damaged and not skip_damaged:
        raise damaged_error(paths, decoded.damaged)
    notes = (*decoded.notes, *skipped_note(paths, decoded.damaged))
    for text in notes:
        emit(Noted(text=text))
    full = _full_set(listing, decoded.images, decoded.kept)
    safetensors_file.save(cached, full, notes)
    return full


def _full_set(listing: Listing, images: Tensor, kept: Tensor) -> FullSet:
    """`images`: those of the listed files that are `kept`, bool [files]."""
    labels = torch.tensor([label for _, label in listing.files])
    which = kept.split([len(files) for files in listing.parts.values()])
    counts = [int(part.sum()) for part in which]
    pieces = zip(images.split(counts), labels[kept].split(counts), strict=True)
    parts = {part: ImageSet(*piece) for part, piece in zip(listing.parts, pieces, strict=True)}
    for part, images_of in parts.items():
        present = torch.bincount(images_of.labels, minlength=len(listing.class_names)) > 0
        if part != "validation" and not present.all():
            empty = listing.class_names[int(present.int().argmin())]
            raise DataError(
                f"class {empty} has no intact image in the {part} part of {listing.root}",
                command("ls", "-lR", listing.root),
            )
    validation = parts.get("validation")
    if validation is not None and not len(validation):
        validation = None
    return FullSet(listing.class_names, parts["train"], parts.get("test"), validation)


def _key(
    listing: Listing,
    contents: list[bytes],
    resolution: decode_images.Size | None,
    skip_damaged: bool,
) -> str:
    """What the decoded arrays depend on: the size, and every file's class, name and bytes."""
    key = hashlib.sha256(json.dumps([_DECODER, skip_damaged, listing.class_names]).encode())
    parts = [part for part, files in listing.parts.items() for _ in files]
    for part, (path, label), content in zip(parts, listing.files, contents, strict=True):
        key.update(f"\n{part} {label} {content.hex()} ".encode())
        key.update(os.fsencode(path.relative_to(listing.root)))
    size = "native" if resolution is None else "x".join(map(str, resolution))
    return f"{size}-{key.hexdigest()[:32]}"
