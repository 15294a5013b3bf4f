"""Tensors of other codes as a SyntheticSet, with the preprocessing they were made in.

Such images live in the space that their code's networks saw. With ZCA that is the whitening fitted
on all training images, which is fitted again; without, the means and deviations that these codes
state for a dataset (their deviations are not those of the pixels), or fitted ones where they state
none.
"""

from __future__ import annotations

from pathlib import Path

import torch

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import prepare
from datm_engine.data.preprocessing import Normalization, Preprocessing, Unknown, to_unit
from datm_engine.errors import ConfigError, DataError
from datm_engine.interop.tensor_files import Foreign
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.losses import hard_labels

# Mean and deviation a channel. Source: get_dataset in the published codes of DC and MTT.
PUBLISHED = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tinyimagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashionmnist": ((0.2861,), (0.3530,)),
}


def with_dataset(
    foreign: Foreign, config: Config, rate: float, data_dir: Path, runtime: Runtime, *, emit: Emit
) -> SyntheticSet:
    """The set, made of `config.dataset`'s training images; `rate` is η.

    Raises DataError where classes or sizes are not the dataset's, and what loading it raises.
    """
    published = None
    if config.dataset.preprocessing == "normalize":
        published = _published(config.dataset.name)
    data = prepare(config.dataset, data_dir, runtime, published, emit=emit)
    made_for = (foreign.classes, tuple(foreign.images.shape[1:]))
    if made_for != (data.classes, data.shape):
        raise DataError(
            f"the files are for {made_for[0]} classes of images {made_for[1]}, and {data.name} has "
            f"{data.classes} of {data.shape}",
            "--dataset ''",
        )
    if data.preprocessing.kind == "zca":
        how = f"whitened, ε = {config.dataset.zca_regularization:g}, fitted on {len(data.train):,}"
        told = f"{how} training images"
    else:
        fitted = f"means and deviations fitted on {len(data.train):,} training images"
        told = f"normalised by {'published means and deviations' if published else fitted}"
    emit(Noted(text=f"taken to be {told} (--set dataset.preprocessing=zca or normalize)"))
    images = foreign.images
    if images.dtype == torch.uint8:
        images = data.preprocessing.apply(to_unit(images))
        emit(Noted(text="images are uint8 pixels: preprocessed as real images are"))
    return SyntheticSet(
        images=images,
        labels=_logits(foreign),
        syn_lr=rate,
        preprocessing=data.preprocessing.to(torch.device("cpu")),
        dataset=data.name,
        class_names=data.class_names,
        iteration=0,
        augmentation=tuple(config.dataset.augmentation),
        config=config.model_dump(),
    )


def without_dataset(foreign: Foreign, rate: float) -> SyntheticSet:
    """The set, made in a space that is not known: to export, but neither to look at nor to test.
    Raises ConfigError for uint8 pixels, which only a dataset's preprocessing makes into images."""
    if foreign.images.dtype == torch.uint8:
        raise ConfigError(
            "images are uint8 pixels, and without their dataset the preprocessing is not known",
            "--dataset cifar10",
        )
    return SyntheticSet(
        images=foreign.images,
        labels=_logits(foreign),
        syn_lr=rate,
        preprocessing=Unknown(),
        dataset="unknown",
        class_names=tuple(str(number) for number in range(foreign.classes)),
        iteration=0,
    )


def _logits(foreign: Foreign) -> torch.Tensor:
    if foreign.labels.ndim == 2:
        return foreign.labels
    return hard_labels(foreign.labels, foreign.classes)


def _published(name: str) -> Preprocessing | None:
    if name not in PUBLISHED:
        return None
    mean, deviation = PUBLISHED[name]
    return Normalization(torch.tensor(mean), torch.tensor(deviation))
