"""Images in class folders as arrays: decoded once, and kept for as long as no file changes."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Generator
from pathlib import Path

import torch

from datm_engine.data import arrays, decoding
from datm_engine.data.arrays import FullSet, ImageSet
from datm_engine.data.listing import Listing, list_images
from datm_engine.errors import DataError
from datm_engine.events import Event, Noted
from datm_engine.files import cannot_write, make_folder

_DECODER = "1"  # to be raised when the same files come to give other pixels


def load(
    root: Path, *, name: str, data_dir: Path, resolution: decoding.Size | None
) -> Generator[Event, None, FullSet]:
    """Decoded the first time; afterwards read from DATA_DIR/decoded while no file has changed."""
    listing = list_images(root)
    files = listing.train + listing.test
    paths = [path for path, _ in files]
    contents = yield from decoding.in_chunks(decoding.content_of, paths, f"reading {name}")
    folder = data_dir / "decoded"
    make_folder(folder)
    kept = folder / f"{name[:40]}-{_key(listing, contents, resolution)}.safetensors"
    if kept.is_file():
        try:
            return arrays.read(kept)
        except DataError as problem:
            yield Noted(text=f"{problem.message}; decoding the images again")
    if not os.access(folder, os.W_OK | os.X_OK):  # found out before decoding, not after
        raise cannot_write(folder, PermissionError(errno.EACCES, os.strerror(errno.EACCES)))
    images = yield from decoding.decode(paths, contents, resolution, f"decoding {name}")
    labels = torch.tensor([label for _, label in files])
    cut = len(listing.train)
    full = FullSet(
        listing.class_names,
        ImageSet(images[:cut], labels[:cut]),
        ImageSet(images[cut:], labels[cut:]),
    )
    arrays.save(kept, full)
    return full


def _key(listing: Listing, contents: list[bytes], resolution: decoding.Size | None) -> str:
    """What the decoded arrays depend on: the size, and every file's class, name and bytes."""
    key = hashlib.sha256(json.dumps([_DECODER, listing.class_names]).encode())
    files = listing.train + listing.test
    for index, ((path, label), content) in enumerate(zip(files, contents, strict=True)):
        part = "train" if index < len(listing.train) else "test"
        key.update(f"\n{part} {label} {content.hex()} ".encode())
        key.update(os.fsencode(path.relative_to(listing.root)))
    size = "native" if resolution is None else "x".join(map(str, resolution))
    return f"{size}-{key.hexdigest()[:32]}"
