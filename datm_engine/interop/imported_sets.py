"""Make a SyntheticSet of another code's tensors, with the preprocessing that they were made in.

Such images live in the space that their code's networks saw. With ZCA that is the whitening fitted
on all training images, which is fitted again. Without, it is that of the means and deviations that
these codes state for a dataset (their deviations are not those of the pixels), or of fitted ones if
they state none.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from datm_engine.compute.runtime import Runtime
from datm_engine.data.prepared import prepare
from datm_engine.data.preprocessing import Normalization, Unknown, to_unit
from datm_engine.errors import ConfigError, Setting
from datm_engine.interop.tensor_files import ForeignSet
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.config import Config
from datm_engine.synthetic import SyntheticSet
from datm_engine.training.losses import hard_labels

# Mean and deviation per channel. Source: get_dataset in the published codes of DC and MTT.
PUBLISHED = {
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
    "cifar100": ((0.5071, 0.4866, 0.4409), (0.2673, 0.2564, 0.2762)),
    "tinyimagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "svhn": ((0.4377, 0.4438, 0.4728), (0.1980, 0.2010, 0.1970)),
    "mnist": ((0.1307,), (0.3081,)),
    "fashionmnist": ((0.2861,), (0.3530,)),
}


def with_dataset(
    foreign: ForeignSet,
    config: Config,
    rate: float,
    data_dir: Path,
    runtime: Runtime,
    *,
    emit: Emit,
) -> SyntheticSet:
    """A set made of the training images of `config.dataset`. rate: the learning rate η.

    Raises DataError if classes or image sizes are not the dataset's, or it cannot be loaded.
    """
    published = None
    if config.dataset.preprocessing == "normalize" and config.dataset.name in PUBLISHED:
        published = Normalization(*map(torch.tensor, PUBLISHED[config.dataset.name]))
    # Loads all training images: the whitening is fitted on them.
    data = prepare(config.dataset, data_dir, runtime, published, emit=emit)
    data.check_fits("the files are", foreign.classes, foreign.images)
    fitted = f"fitted on {len(data.train):,} training images"
    if data.preprocessing.kind == "zca":
        how = f"whitened, ε = {config.dataset.zca_regularization:g}, {fitted}"
    else:
        kind = "published means and deviations" if published else f"means and deviations {fitted}"
        how = f"normalised by {kind}"
    emit(Noted(text=f"taken to be {how} (setting: dataset.preprocessing)"))
    images = foreign.images  # [n, channels, height, width]
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


def without_dataset(foreign: ForeignSet, rate: float) -> SyntheticSet:
    """A set in an unknown space. It can be exported, but neither looked at nor tested. Raises
    ConfigError for uint8 pixels, which need a dataset's preprocessing."""
    if foreign.images.dtype == torch.uint8:
        raise ConfigError(
            "images are uint8 pixels, and without their dataset the preprocessing is not known",
            Setting("dataset", "cifar10"),
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


def _logits(foreign: ForeignSet) -> Tensor:
    """[n, classes]"""
    if foreign.labels.ndim == 2:
        return foreign.labels
    return hard_labels(foreign.labels, foreign.classes)
