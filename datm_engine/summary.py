"""A distilled set in numbers: pixels, soft labels, and how far images moved from their start."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datm_engine.errors import FileError
from datm_engine.hints import command
from datm_engine.synthetic import SyntheticSet, to_pictures
from datm_engine.tensors import UNREADABLE, read_tensors

TOP = 3  # classes listed for each image
_CHUNK = 1024  # images that are converted together, to bound memory


@dataclass(frozen=True)
class Pixels:
    """Statistics of all values, as the student sees them (normalized or whitened)."""

    min: float
    max: float
    mean: float
    std: float


@dataclass(frozen=True)
class ClassShare:
    name: str
    probability: float


@dataclass(frozen=True)
class ImageSummary:
    """own: the soft label's probability of the image's own class. entropy: of the soft label, in
    nats; entropy_share: divided by log(classes). change: root mean square difference from the
    start."""

    index: int
    class_name: str
    top: tuple[ClassShare, ...]
    own: float
    entropy: float
    entropy_share: float
    change: float | None

    @property
    def is_led_by_own_class(self) -> bool:
        return self.top[0].name == self.class_name


@dataclass(frozen=True)
class Summary:
    """shape: [n, channels, height, width]. entropy, entropy_share, change: means over images.
    led_by_other: number of images whose top class is not their own. change_space: "student" if
    `change` is measured on what the student sees, "picture" for pixels in [0, 1], None if the start
    is unknown."""

    dataset: str
    ipc: int
    classes: int
    class_names: tuple[str, ...]
    shape: tuple[int, int, int, int]
    syn_lr: float
    iteration: int
    preprocessing: str
    augmentation: tuple[str, ...]
    pixels: Pixels
    entropy: float
    entropy_share: float
    led_by_other: int
    change: float | None
    change_space: str | None
    images: tuple[ImageSummary, ...]

    def as_json(self) -> dict[str, Any]:
        """Numbers that are not finite are None, as JSON has no such numbers."""
        plain: dict[str, Any] = json.loads(
            json.dumps(asdict(self)), parse_constant=lambda infinite_or_nan: None
        )
        return plain


def summarize(synthetic: SyntheticSet, start: Tensor | None = None) -> Summary:
    """Summarize a set.

    start: how the images were initialized, [n, channels, height, width], either floating point as
    the student sees them or uint8 pictures as of `SyntheticSet.pictures`. Raises ValueError for
    another shape.
    """
    images, names = synthetic.images, synthetic.class_names
    if start is not None and start.shape != images.shape:
        raise ValueError(f"start is {list(start.shape)}, the images {list(images.shape)}")
    probabilities = synthetic.labels.double().softmax(dim=1)  # [n, classes]
    entropy = entropies(synthetic.labels)  # [n]
    # The entropy of equal probabilities. A single class has entropy 0, divided by anything.
    most = math.log(len(names)) if len(names) > 1 else 1.0
    classes = synthetic.classes
    own = probabilities.gather(1, classes[:, None])[:, 0].tolist()
    top = probabilities.topk(min(TOP, len(names)), dim=1)
    leads = top.indices.tolist()  # n lists of the TOP classes, the most probable first
    change = None if start is None else changes(synthetic, start)
    rows = zip(classes.tolist(), leads, top.values.tolist(), own, entropy.tolist(), strict=True)
    described = tuple(
        ImageSummary(
            index=index,
            class_name=names[own_class],
            top=tuple(ClassShare(names[k], share) for k, share in zip(lead, values, strict=True)),
            own=probability,
            entropy=nats,
            entropy_share=nats / most,
            change=None if change is None else change[index].item(),
        )
        for index, (own_class, lead, values, probability, nats) in enumerate(rows)
    )
    n, channels, height, width = images.shape
    return Summary(
        dataset=synthetic.dataset,
        ipc=synthetic.ipc,
        classes=len(names),
        class_names=names,
        shape=(n, channels, height, width),
        syn_lr=synthetic.syn_lr,
        iteration=synthetic.iteration,
        preprocessing=synthetic.preprocessing.kind,
        augmentation=synthetic.augmentation,
        pixels=Pixels(
            min=images.min().item(),
            max=images.max().item(),
            mean=images.mean().item(),
            std=images.std(correction=0).item(),
        ),
        entropy=entropy.mean().item(),
        entropy_share=entropy.mean().item() / most,
        led_by_other=int((top.indices[:, 0] != classes).sum()),
        change=None if change is None else change.mean().item(),
        change_space=None
        if start is None
        else ("student" if start.is_floating_point() else "picture"),
        images=described,
    )


def entropies(labels: Tensor) -> Tensor:
    """[n]: the entropy in nats of label logits [n, classes]."""
    return torch.special.entr(labels.double().softmax(dim=1)).sum(dim=1)


def changes(synthetic: SyntheticSet, start: Tensor, chosen: slice = slice(None)) -> Tensor:
    """[chosen]: root mean square difference of each image from its start. `start` as in
    `summarize`."""
    now, then = synthetic.images[chosen], start[chosen]
    parts = []
    for images, before in zip(now.split(_CHUNK), then.split(_CHUNK), strict=True):
        if start.is_floating_point():
            difference = images - before
        else:
            pictures = to_pictures(images, synthetic.preprocessing)
            difference = (pictures.float() - before.float()) / 255
        parts.append(difference.flatten(1).square().mean(dim=1).sqrt())
    return torch.cat(parts)


def pictures_of(
    synthetic: SyntheticSet, indices: Sequence[int], *, clip: float | None = 2.5
) -> Tensor:
    """uint8 [len(indices), channels, height, width]: `SyntheticSet.pictures` of some images."""
    chosen = torch.tensor(indices, dtype=torch.long).split(_CHUNK)
    parts = [
        to_pictures(synthetic.images[some], synthetic.preprocessing, clip=clip) for some in chosen
    ]
    return torch.cat(parts)


def read_pictures(path: Path) -> Tensor | None:
    """uint8 [n, channels, height, width] from a run's file of initial images.

    None if there is no such file or, in a run with many images, it has only some of them. Raises
    FileError for a damaged file.
    """
    try:
        tensors = read_tensors(path)[0]
        pictures = tensors["pictures"]
        if pictures.dtype != torch.uint8:
            raise ValueError(f"its pictures are {pictures.dtype}")
        return None if "indices" in tensors else pictures
    except FileNotFoundError:
        return None
    except UNREADABLE as problem:
        hint = command("ls", "-l", path)
        raise FileError(f"{path} cannot be read: {problem}", hint) from None
