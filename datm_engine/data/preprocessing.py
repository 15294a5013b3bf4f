"""Normalise or whiten images before a network sees them, and invert that.

Both are affine maps x ↦ A(x − μ) with an inverse, fitted on training images only.
Source: ZCA with a regulariser ε on the eigenvalues as in MTT and DATM (ε = 0.1, no further
mean or deviation on top).
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import torch
from torch import Tensor

from datm_engine.errors import DataError
from datm_engine.hints import command

PART = 4096  # images that are whitened at once


def to_unit(images: Tensor, dtype: torch.dtype = torch.float32) -> Tensor:
    """Scale uint8 pixels to [0, 1]."""
    return images.to(dtype) / 255


@dataclass(frozen=True)
class Preprocessing(ABC):
    """A map of images, and its inverse. Its fields are tensors that are stored."""

    kind: ClassVar[str]

    @abstractmethod
    def apply(self, images: Tensor) -> Tensor:
        """Map images [n, channels, height, width] in [0, 1] to what networks see."""

    @abstractmethod
    def invert(self, images: Tensor) -> Tensor:
        """Map what networks see to images in [0, 1]."""

    @abstractmethod
    def fits(self, shape: tuple[int, ...]) -> bool:
        """Return whether it fits images of this shape (channels, height, width) and is finite."""

    def to(self, device: torch.device) -> Self:
        return replace(self, **{name: tensor.to(device) for name, tensor in self._fields().items()})

    def tensors(self) -> dict[str, Tensor]:
        return {f"preprocessing.{name}": tensor for name, tensor in self._fields().items()}

    def _fields(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if isinstance(value, Tensor)}


@dataclass(frozen=True)
class Normalization(Preprocessing):
    """Per-channel mean and standard deviation. `mean`, `std`: [channels]."""

    mean: Tensor
    std: Tensor

    kind = "normalize"

    @classmethod
    def fit(cls, images: Tensor) -> Normalization:
        """images: uint8 [n, channels, height, width]."""
        unit = to_unit(images, torch.float64)
        mean = unit.mean(dim=(0, 2, 3))  # [channels]
        std = unit.std(dim=(0, 2, 3), correction=0).clamp_min(1e-8)
        return cls(mean.float(), std.float())

    def apply(self, images: Tensor) -> Tensor:
        mean, std = (t.to(images)[:, None, None] for t in (self.mean, self.std))
        return (images - mean).div_(std)  # in place: one copy of a dataset, not two

    def invert(self, images: Tensor) -> Tensor:
        mean, std = (t.to(images)[:, None, None] for t in (self.mean, self.std))
        return images * std + mean

    def fits(self, shape: tuple[int, ...]) -> bool:
        return _are((self.mean, self.std), ((shape[0],), (shape[0],)))


@dataclass(frozen=True)
class Whitening(Preprocessing):
    """ZCA: x ↦ (S + ε)^(−½) (x − μ), with S the pixels' covariance in its eigenbasis.

    `mean`: [pixels]; `components`: [k, pixels], orthonormal rows; `variances`: [k], their
    eigenvalues; `regularization`: ε. What lies outside the components has eigenvalue 0, so that
    few images in many dimensions (k < pixels) need no pixels × pixels matrix. Components whose
    eigenvalue is below float32's resolution of ε are left to that remainder.
    """

    mean: Tensor
    components: Tensor
    variances: Tensor
    regularization: float

    kind = "zca"

    @classmethod
    def fit(cls, images: Tensor, regularization: float) -> Whitening:
        """images: uint8 [n, channels, height, width], n ≥ 2."""
        flat = to_unit(images).flatten(1)  # [n, pixels]
        mean = flat.mean(dim=0, dtype=torch.float64).float()
        centred = flat - mean
        n, pixels = centred.shape
        # The smaller of XᵀX and XXᵀ is decomposed; both have the same non-zero eigenvalues.
        if n > pixels:
            covariance = (centred.T @ centred).double() / (n - 1)
            variances, vectors = torch.linalg.eigh(covariance)
            components = vectors.T
        else:
            gram = (centred @ centred.T).double() / (n - 1)
            variances, vectors = torch.linalg.eigh(gram)
            scale = (variances.clamp_min(1e-12) * (n - 1)).rsqrt()
            components = (vectors * scale).T @ centred.double()  # [n, pixels], orthonormal rows
        kept = variances > torch.finfo(torch.float32).eps * regularization
        return cls(mean, components[kept].float(), variances[kept].float(), regularization)

    def apply(self, images: Tensor) -> Tensor:
        scaled, mean = self._scaling(images, -0.5), self.mean.to(images)
        return _in_parts(images, lambda flat: scaled(flat - mean))

    def invert(self, images: Tensor) -> Tensor:
        scaled, mean = self._scaling(images, 0.5), self.mean.to(images)
        return _in_parts(images, lambda flat: scaled(flat) + mean)

    def fits(self, shape: tuple[int, ...]) -> bool:
        pixels, k = math.prod(shape), len(self.components)
        parts = (self.mean, self.components, self.variances)
        return _are(parts, ((pixels,), (k, pixels), (k,)))

    def _scaling(self, images: Tensor, power: float) -> Callable[[Tensor], Tensor]:
        """Return x ↦ x (S + ε)^power for x [n, pixels], in the cheapest order of products."""
        components, variances = self.components.to(images), self.variances.to(images)
        rest = self.regularization**power
        gain = (variances + self.regularization) ** power - rest
        k, pixels = components.shape
        if len(images) > pixels and 2 * k > pixels:  # one square matrix: less than two passes
            square = (components.T * gain) @ components
            return lambda flat: flat @ square + rest * flat
        return lambda flat: (flat @ components.T * gain) @ components + rest * flat


def _in_parts(images: Tensor, change: Callable[[Tensor], Tensor]) -> Tensor:
    """Apply `change` to [PART, pixels] at a time, which bounds the memory beside the result."""
    changed = torch.empty_like(images)
    for first in range(0, len(images), PART):
        part = images[first : first + PART]
        changed[first : first + PART] = change(part.flatten(1)).reshape(part.shape)
    return changed


@dataclass(frozen=True)
class Unknown(Preprocessing):
    """The preprocessing of imported images whose dataset is not known."""

    kind = "unknown"

    def apply(self, images: Tensor) -> Tensor:
        raise DataError(
            "how these images were preprocessed is not known: they were imported without a dataset",
            command("datm", "import", "--help"),
        )

    invert = apply

    def fits(self, shape: tuple[int, ...]) -> bool:
        return True


def fit(kind: str, images: Tensor, regularization: float) -> Preprocessing:
    """Fit the preprocessing named `kind` ("zca" or "normalize") on uint8 training images."""
    if kind == "zca":
        return Whitening.fit(images, regularization)
    return Normalization.fit(images)


def describe(preprocessing: Preprocessing) -> dict[str, str]:
    """Return the metadata that restores the preprocessing, together with `tensors()`."""
    regularization = getattr(preprocessing, "regularization", 0.0)
    return {"kind": preprocessing.kind, "regularization": repr(regularization)}


def restore(described: Mapping[str, str], tensors: Mapping[str, Tensor]) -> Preprocessing:
    """Invert `describe` and `tensors()`. Raises ValueError if parts are missing."""
    try:
        if described["kind"] == "unknown":
            return Unknown()
        mean = tensors["preprocessing.mean"]
        if described["kind"] == "zca":
            components = tensors["preprocessing.components"]
            variances = tensors["preprocessing.variances"]
            return Whitening(mean, components, variances, float(described["regularization"]))
        return Normalization(mean, tensors["preprocessing.std"])
    except KeyError as missing:
        raise ValueError(f"{missing} of its preprocessing is missing") from None


def _are(tensors: Sequence[Tensor], shapes: Sequence[tuple[int, ...]]) -> bool:
    """Return whether the tensors have these shapes and finite values."""
    pairs = zip(tensors, shapes, strict=True)
    return all(t.shape == shape and bool(torch.isfinite(t).all()) for t, shape in pairs)
