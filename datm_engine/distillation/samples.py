"""Pictures of the synthetic set as it changes: the start, samples at certain iterations, which are
kept, and a preview of how it stands now.

A file holds `pictures` uint8 [m, channels, height, width] and, if they are not of all images,
`indices` int64 [m], which images of the set they show; its metadata, the `iteration`. A sample also
has `taken_for` int64 [m] and `probability` [m]: the likeliest class of each image's soft label.

However long a run is, what they take is bounded: where there would be more samples than
`SAMPLES_BYTES` allow, they come at twice the interval, and those between are removed. Which there
are follows from the iteration alone, so a resumed run has the same.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from datm_engine.data.image_sets import ImageSet
from datm_engine.data.preprocessing import Preprocessing
from datm_engine.files import cannot_write
from datm_engine.synthetic import to_pictures
from datm_engine.tensors import save_tensors

SAMPLE_BYTES = 500_000  # about as large as a sample may be; one image of every class it holds
SAMPLES_BYTES = 9_000_000  # as much as all of them may take, of which there are at least FEWEST
START_BYTES = 31_000_000  # as much as the start may take; all images, where that is enough
FEWEST, MOST = 4, 100  # samples of a long run


def sampled(images: Tensor, classes: int, size: int = SAMPLE_BYTES) -> Tensor:
    """[m] indices of the first few images of every class, as many as `size` bytes allow.

    images: [n, channels, height, width], class after class.
    """
    ipc = len(images) // classes
    few = min(ipc, max(1, size // (classes * images[0].numel())))
    first = torch.arange(classes) * ipc
    return (first[:, None] + torch.arange(few)).flatten()


def save_sample(
    path: Path,
    images: Tensor,
    preprocessing: Preprocessing,
    classes: int,
    iteration: int,
    labels: Tensor | None = None,
) -> None:
    """images: [n, channels, height, width] as the student sees them. labels: their logits
    [n, classes]; the sample then states the likeliest class of each. Raises FileError."""
    indices = sampled(images, classes)
    chosen = images[indices.to(images.device)].float().cpu()
    tensors = {"pictures": to_pictures(chosen, preprocessing), "indices": indices}
    if labels is not None:
        probabilities = labels[indices.to(labels.device)].float().cpu().softmax(dim=1)
        tensors["probability"], tensors["taken_for"] = probabilities.max(dim=1)  # [m] each
    save_tensors(path, tensors, {"iteration": str(iteration)})


def save_real(
    path: Path, real: ImageSet, preprocessing: Preprocessing, class_names: Sequence[str]
) -> None:
    """Save the first real image of every class, to show while there are no synthetic ones, and of
    the first classes only where these are too large. Raises FileError."""
    most = max(1, START_BYTES // real.images[0].numel())
    labels = real.labels.cpu()
    first = [int((labels == k).nonzero()[0]) for k in range(len(class_names))][:most]
    pictures = to_pictures(real.images[first].float().cpu(), preprocessing, clip=None)
    save_tensors(path, {"pictures": pictures}, {"class_names": json.dumps(list(class_names))})


def save_start(path: Path, pictures: Tensor, classes: int) -> None:
    """pictures: uint8 [n, channels, height, width], of all images. Raises FileError."""
    indices = sampled(pictures, classes, START_BYTES)
    if len(indices) == len(pictures):
        save_tensors(path, {"pictures": pictures}, {})
    else:
        tensors = {"pictures": pictures[indices], "indices": indices}
        save_tensors(path, tensors, {"iteration": "0"})


def spacing(interval: int, iteration: int, size: int) -> int:
    """Iterations between the samples of a run that has done `iteration`; `size`: bytes of one."""
    most = max(FEWEST, min(MOST, SAMPLES_BYTES // size))
    while iteration // interval > most:
        interval *= 2
    return interval


def thin(folder: Path, between: int) -> None:
    """Remove the samples that are not `between` iterations apart. Raises FileError."""
    for path in folder.glob("*.safetensors"):
        if path.stem.isdecimal() and int(path.stem) % between:
            try:
                path.unlink(missing_ok=True)
            except OSError as problem:
                raise cannot_write(path, problem) from None
