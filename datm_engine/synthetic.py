"""The product: a few images a class with soft labels and a learning rate, in one file.

`SyntheticSet.load(path)` gives everything that training on it takes: a torch Dataset of
(image, label), the learning rate, and `preprocess` for the test images.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from datm_engine.data import preprocessing as pre
from datm_engine.errors import FileError
from datm_engine.files import parse_json
from datm_engine.hints import command
from datm_engine.tensors import UNREADABLE, read_tensors, save_tensors

FORMAT = "datm-synthetic/1"


@dataclass(frozen=True)
class SyntheticSet:
    """images: [n, channels, height, width] float32 as the student sees them, class after class,
    `ipc` each; labels: [n, classes] float32 logits (softmax is applied inside the loss);
    syn_lr: η, the learning rate to train with; `iteration`: when it was taken."""

    images: Tensor
    labels: Tensor
    syn_lr: float
    preprocessing: pre.Preprocessing
    dataset: str
    class_names: tuple[str, ...]
    iteration: int
    augmentation: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)

    @property
    def ipc(self) -> int:
        return len(self.images) // len(self.class_names)

    @property
    def classes(self) -> Tensor:
        """[n] int64: the class each image was made for."""
        return torch.arange(len(self.class_names)).repeat_interleave(self.ipc)

    @property
    def soft_labels(self) -> Tensor:
        """[n, classes] probabilities."""
        return self.labels.softmax(dim=1)

    def as_dataset(self) -> TensorDataset:
        """A torch Dataset of (image, soft label)."""
        return TensorDataset(self.images, self.soft_labels)

    def preprocess(self, images: Tensor) -> Tensor:
        """Real images, uint8 or [0, 1] floats [n, channels, height, width], as the student
        sees them: what test images must go through before they are classified."""
        unit = pre.to_unit(images) if images.dtype == torch.uint8 else images.float()
        return self.preprocessing.apply(unit)

    def pictures(self, *, clip: float | None = 2.5) -> Tensor:
        """uint8 [n, channels, height, width] to look at: preprocessing undone, and each image's
        values beyond `clip` standard deviations of its own clipped before (None: not)."""
        return to_pictures(self.images, self.preprocessing, clip=clip)

    def save(self, path: Path) -> None:
        """Write one safetensors file. Raises FileError; an earlier file then stays as it is."""
        metadata = {
            "format": FORMAT,
            "dataset": self.dataset,
            "class_names": json.dumps(self.class_names),
            "iteration": str(self.iteration),
            "augmentation": json.dumps(self.augmentation),
            "preprocessing": json.dumps(pre.describe(self.preprocessing)),
            "config": json.dumps(self.config),
        }
        tensors = {
            "images": self.images,
            "labels": self.labels,
            "syn_lr": torch.tensor(self.syn_lr),
            **self.preprocessing.tensors(),
        }
        save_tensors(path, tensors, metadata)

    @classmethod
    def load(cls, path: Path | str) -> SyntheticSet:
        """Raises FileError for a file that is missing, damaged or something else."""
        path = Path(path)
        look = command("ls", "-l", path)
        try:
            tensors, metadata = read_tensors(path)
            if metadata.get("format") != FORMAT:
                raise FileError(f"{path} is not a distilled set", look)
            synthetic = cls(
                images=tensors["images"],
                labels=tensors["labels"],
                syn_lr=float(tensors["syn_lr"]),
                preprocessing=pre.restore(parse_json(metadata["preprocessing"]), tensors),
                dataset=metadata["dataset"],
                class_names=tuple(parse_json(metadata["class_names"])),
                iteration=int(metadata["iteration"]),
                augmentation=tuple(parse_json(metadata["augmentation"])),
                config=parse_json(metadata["config"]),
            )
            synthetic._check()
        except FileNotFoundError:
            raise FileError(f"{path}: no such file", command("ls", path.parent)) from None
        except (AttributeError, *UNREADABLE) as problem:
            wrong = f"{path} cannot be read as a distilled set: {problem}"
            raise FileError(wrong, look) from None
        return synthetic

    def _check(self) -> None:
        """Raises ValueError where the parts do not fit each other."""
        n, classes = len(self.images), len(self.class_names)
        texts = [*self.class_names, *self.augmentation]
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("its names are no texts")
        if not (self.images.is_floating_point() and self.labels.is_floating_point()):
            raise ValueError("images or labels are no floating point numbers")
        if self.images.ndim != 4 or self.labels.shape != (n, classes) or 0 in self.labels.shape:
            raise ValueError(
                f"images {list(self.images.shape)} and labels {list(self.labels.shape)} do not "
                f"fit {classes} classes"
            )
        if n % classes:
            raise ValueError(f"{n} images are not the same number for each of {classes} classes")
        if not all(bool(torch.isfinite(t).all()) for t in (self.images, self.labels)):
            raise ValueError("images or labels are not finite")
        if not (math.isfinite(self.syn_lr) and self.syn_lr > 0):
            raise ValueError(f"the learning rate syn_lr is {self.syn_lr}")
        if not self.preprocessing.fits(tuple(self.images.shape[1:])):
            raise ValueError(f"the preprocessing is not for images {list(self.images.shape[1:])}")
        stated = self.config.get("distill", {}).get("ipc", self.ipc)
        if stated != self.ipc:
            raise ValueError(f"{self.ipc} images a class, but its settings state {stated}")


def to_pictures(
    images: Tensor, preprocessing: pre.Preprocessing, *, clip: float | None = 2.5
) -> Tensor:
    """uint8 [n, channels, height, width] to look at, from images as the student sees them."""
    if clip is not None:
        flat = images.flatten(1)
        mean, spread = flat.mean(dim=1, keepdim=True), flat.std(dim=1, keepdim=True)
        flat = flat.clamp(mean - clip * spread, mean + clip * spread)
        images = flat.reshape(images.shape)
    unit = preprocessing.invert(images.float()).clamp(0, 1)
    return (unit * 255).round().to(torch.uint8)
