"""Pictures of the synthetic set as it changes: samples at certain iterations, which are kept,
and a preview of how it stands now.

A file holds `pictures` uint8 [m, channels, height, width] and, if they are not of all images,
`indices` int64 [m], which images of the set they show; its metadata, the `iteration`.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from datm_engine.data.preprocessing import Preprocessing
from datm_engine.synthetic import to_pictures
from datm_engine.tensors import save_tensors

SAMPLE_BYTES = 1_000_000  # about as large as a sample may be; one image of every class it holds


def sampled(images: Tensor, classes: int) -> Tensor:
    """[m] indices of the first few images of every class, as many as `SAMPLE_BYTES` allow.

    images: [n, channels, height, width], class after class.
    """
    ipc = len(images) // classes
    few = min(ipc, max(1, SAMPLE_BYTES // (classes * images[0].numel())))
    first = torch.arange(classes) * ipc
    return (first[:, None] + torch.arange(few)).flatten()


def save_sample(
    path: Path, images: Tensor, preprocessing: Preprocessing, classes: int, iteration: int
) -> None:
    """images: [n, channels, height, width] as the student sees them. Raises FileError."""
    indices = sampled(images, classes)
    chosen = images[indices.to(images.device)].float().cpu()
    tensors = {"pictures": to_pictures(chosen, preprocessing), "indices": indices}
    save_tensors(path, tensors, {"iteration": str(iteration)})
