"""Where the synthetic set starts: real images that experts classify correctly, random real
images, or noise; and labels averaged over the experts' logits, or one-hot.

Source: DATM §3.3. Its published code searches without end when too few images of a class
qualify; here such a class is filled up with random images and reported.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from datm_engine.compute.runtime import generator
from datm_engine.errors import DataError, Setting
from datm_engine.networks.weights import FlatNetwork


@dataclass(frozen=True)
class Selection:
    """`indices`: [classes × ipc] into the training images, class after class; `qualified`: how
    many of each class an expert classified correctly before it was filled up."""

    indices: Tensor
    qualified: tuple[int, ...]


def check_ipc(labels: Tensor, class_names: Sequence[str], ipc: int) -> None:
    """A DataError that names the smallest class if it has fewer than `ipc` images."""
    counts = labels.bincount(minlength=len(class_names))
    fewest = int(counts.argmin())
    if counts[fewest] < ipc:
        raise DataError(
            f"ipc {ipc} is more than class {class_names[fewest]} has: "
            f"{int(counts[fewest])} training images",
            Setting("ipc", int(counts[fewest])),
        )


def permuted_by_class(labels: Tensor, classes: int, seed: int) -> list[Tensor]:
    """For each class its images' indices in a seeded order, on the CPU."""
    members = [(labels.cpu() == c).nonzero().flatten() for c in range(classes)]
    return [
        own[torch.randperm(len(own), generator=generator(seed, "images of class", c))]
        for c, own in enumerate(members)
    ]


def random_images(labels: Tensor, classes: int, ipc: int, seed: int) -> Selection:
    """`ipc` random images of each class."""
    chosen = [own[:ipc] for own in permuted_by_class(labels, classes, seed)]
    return Selection(torch.cat(chosen), (ipc,) * classes)


def correct_images(
    network: FlatNetwork,
    experts: Iterator[Tensor],
    images: Tensor,
    labels: Tensor,
    classes: int,
    ipc: int,
    seed: int,
) -> Selection:
    """Of each class the first `ipc` images, in a seeded order, that an expert classifies
    correctly: the first expert as far as it goes, then the next.

    `experts` yields flat weights (last snapshots) and is drawn from only as needed.
    """
    waiting = permuted_by_class(labels, classes, seed)
    kept: list[list[int]] = [[] for _ in range(classes)]
    for theta in experts:
        passed: list[list[int]] = [[] for _ in range(classes)]
        queues = [own.tolist() for own in waiting]
        while open_ := [c for c in range(classes) if len(kept[c]) < ipc and queues[c]]:
            chunks = {c: queues[c][: 2 * (ipc - len(kept[c]))] for c in open_}
            flat = torch.tensor([i for chunk in chunks.values() for i in chunk])
            at = flat.to(images.device)
            right = (network.predict(theta, images[at]).argmax(1) == labels[at]).tolist()
            verdict = dict(zip(flat.tolist(), right, strict=True))
            for c, chunk in chunks.items():
                queues[c] = queues[c][len(chunk) :]
                for index in chunk:
                    room = len(kept[c]) < ipc
                    (kept[c] if verdict[index] and room else passed[c]).append(index)
        if all(len(own) == ipc for own in kept):
            break
        waiting = [torch.tensor(passed[c] + queues[c]) for c in range(classes)]
    qualified = tuple(len(own) for own in kept)
    filled = [
        own + [i for i in waiting[c].tolist() if i not in own][: ipc - len(own)]
        if len(own) < ipc
        else own
        for c, own in enumerate(kept)
    ]
    return Selection(torch.tensor([i for own in filled for i in own]), qualified)


def averaged_logits(
    network: FlatNetwork, experts: Iterator[Tensor], images: Tensor, labels: Tensor
) -> Tensor:
    """[n, classes]: for each image the mean of the logits of those experts that classify it
    correctly; of all experts, where none does."""
    logits = torch.stack([network.predict(theta, images) for theta in experts])
    right = (logits.argmax(dim=2) == labels)[:, :, None]  # [experts, n, 1]
    counted = torch.where(right.any(dim=0), right, True).to(logits)
    return (counted * logits).sum(dim=0) / counted.sum(dim=0)
