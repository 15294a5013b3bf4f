"""Prepare a dataset for networks: load, split, preprocess, move to the device."""

from __future__ import annotations

import json
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.data import datasets, preprocessing
from datm_engine.data.datasets import ImageSet, RealData
from datm_engine.errors import DataError, Setting
from datm_engine.files import make_folder, parse_json
from datm_engine.runs.events import DatasetReady, Emit, Noted, WaitBegan
from datm_engine.settings.config import DatasetConfig
from datm_engine.tensors import read_tensors, save_tensors


@dataclass(frozen=True)
class PreparedData(RealData):
    """A dataset whose images are on the device, as networks see them."""

    preprocessing: preprocessing.Preprocessing

    @property
    def classes(self) -> int:
        return len(self.class_names)

    def check_fits(self, what: str, classes: int, images: Tensor) -> None:
        """Raise DataError unless `what`, with so many classes and with `images` [n, …], fits."""
        shape = tuple(images.shape[1:])
        if (classes, shape) != (self.classes, self.shape):
            raise DataError(
                f"{what} for {classes} classes of images {shape}, and {self.name} has "
                f"{self.classes} of {self.shape}",
                Setting("dataset"),
            )


def prepare(
    settings: DatasetConfig,
    data_dir: Path,
    runtime: Runtime,
    fitted: preprocessing.Preprocessing | None = None,
    *,
    emit: Emit,
) -> PreparedData:
    """Load, split and preprocess a dataset, and move it to the device.

    `fitted` is the preprocessing of a distilled set, for test images to match it. Otherwise one is
    fitted on the training part.
    """
    data = datasets.load(settings, data_dir, emit=emit)
    if fitted is None:
        fitted = _fit(settings, data, data_dir, emit=emit)
    elif not fitted.fits(data.shape):
        raise DataError(
            f"{data.name} has images of {'×'.join(map(str, data.shape))}, which the distilled "
            "set's preprocessing does not fit",
            Setting("dataset"),
        )

    on_device = fitted.to(runtime.device)

    def place(images: ImageSet) -> ImageSet:
        pixels = images.images.to(runtime.device)
        with runtime.exact():  # the same images whatever the run's precision
            seen = on_device.apply(preprocessing.to_unit(pixels, runtime.dtype))
        return ImageSet(seen, images.labels.to(runtime.device))

    channels, height, width = data.shape
    emit(
        DatasetReady(
            name=data.name,
            classes=len(data.class_names),
            train=len(data.train),
            validation=len(data.validation),
            test=len(data.test),
            channels=channels,
            height=height,
            width=width,
            preprocessing=fitted.kind,
        )
    )
    parts = (place(data.train), place(data.validation), place(data.test))
    return PreparedData(data.name, data.class_names, *parts, data.fingerprint, fitted)


def _fit(
    settings: DatasetConfig, data: RealData, data_dir: Path, *, emit: Emit
) -> preprocessing.Preprocessing:
    """Fit the preprocessing. Whitening takes an eigendecomposition, so it is stored."""
    if settings.preprocessing != "zca":
        return preprocessing.fit(settings.preprocessing, data.train.images, 0.0)
    # The same images and ε give the same whitening.
    key = sha256(f"{data.fingerprint}/{settings.zca_regularization!r}".encode()).hexdigest()[:16]
    path = data_dir / "whitening" / f"{key}.safetensors"
    if path.exists():
        try:
            tensors, metadata = read_tensors(path)
            return preprocessing.restore(parse_json(metadata["preprocessing"]), tensors)
        except (SafetensorError, OSError, KeyError, TypeError, ValueError) as problem:
            emit(Noted(text=f"{path} is damaged ({problem}); the whitening is fitted again"))
    emit(WaitBegan(what=f"whitening {data.name}, once for these images"))
    fitted = preprocessing.fit("zca", data.train.images, settings.zca_regularization)
    make_folder(path.parent)
    metadata = {"preprocessing": json.dumps(preprocessing.describe(fitted))}
    save_tensors(path, fitted.tensors(), metadata)
    return fitted
