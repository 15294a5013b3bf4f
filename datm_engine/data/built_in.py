"""Built-in datasets: scikit-learn's digits, torchvision's downloads and Tiny-ImageNet.

To add one that torchvision downloads, add an entry to `BUILT_IN`, and its name to the help of
`--dataset` (`datm_cli/options.py`). One from elsewhere also needs a branch in `load` and one in
`is_here`. If a mirrored image of it means something else, add its name to `UNMIRRORED`
(`settings/choose_preset.py`).
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import Any

from datm_engine.data.image_sets import FullSet, ImageSet, TrainingCounts, from_torchvision
from datm_engine.data.readers.image_folder import ImageFolderReader
from datm_engine.data.readers.reader import DatasetSource, LoadOptions
from datm_engine.errors import DataError
from datm_engine.hints import command, remedy
from datm_engine.runs.events import Emit
from datm_engine.settings.image_size import Shape


@dataclass(frozen=True)
class BuiltIn:
    """A built-in dataset: its shape, and its number of training images in each class.

    torchvision_class: of datasets that torchvision downloads. has_split: its constructor takes
    split="train", not train=True. To use it offline, download `files` from `site` and put them into
    `folder` of the data folder by hand.
    """

    shape: Shape
    train: tuple[int, ...]
    torchvision_class: str = ""
    site: str = ""
    files: tuple[str, ...] = ()
    folder: str = "."
    has_split: bool = False


_TORONTO = "https://www.cs.toronto.edu/~kriz/"
_MNIST_FILES = tuple(
    f"{part}-{what}-ubyte.gz"
    for part in ("train", "t10k")
    for what in ("images-idx3", "labels-idx1")
)
BUILT_IN: Mapping[str, BuiltIn] = {
    "digits": BuiltIn(Shape(10, 1, 8, 8), (142, 146, 142, 146, 145, 146, 145, 143, 139, 144)),
    "cifar10": BuiltIn(
        Shape(10, 3, 32, 32), (5_000,) * 10, "CIFAR10", _TORONTO, ("cifar-10-python.tar.gz",)
    ),
    "cifar100": BuiltIn(
        Shape(100, 3, 32, 32), (500,) * 100, "CIFAR100", _TORONTO, ("cifar-100-python.tar.gz",)
    ),
    "svhn": BuiltIn(
        Shape(10, 3, 32, 32),
        (4_948, 13_861, 10_585, 8_497, 7_458, 6_882, 5_727, 5_595, 5_045, 4_659),
        "SVHN",
        "http://ufldl.stanford.edu/housenumbers/",
        ("train_32x32.mat", "test_32x32.mat"),
        has_split=True,
    ),
    "mnist": BuiltIn(
        Shape(10, 1, 28, 28),
        (5_923, 6_742, 5_958, 6_131, 5_842, 5_421, 5_918, 6_265, 5_851, 5_949),
        "MNIST",
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        _MNIST_FILES,
        "MNIST/raw",
    ),
    "fashionmnist": BuiltIn(
        Shape(10, 1, 28, 28),
        (6_000,) * 10,
        "FashionMNIST",
        "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
        _MNIST_FILES,
        "FashionMNIST/raw",
    ),
    "tinyimagenet": BuiltIn(Shape(200, 3, 64, 64), (500,) * 200),
}
_TINYIMAGENET = "tiny-imagenet-200"  # the folder of its archive
_DIGITS = tuple(str(digit) for digit in range(10))
# Raised by the connection, by torchvision, and by its MNIST reader for a truncated file.
_FAILURES = (OSError, HTTPException, RuntimeError, ValueError, AssertionError, KeyError)
_DISK_ERRORS = (
    errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOSPC, errno.EEXIST, errno.ENOTDIR, errno.EDQUOT
)  # fmt: skip


class BuiltInDataset(DatasetSource):
    def __init__(self, name: str, data_dir: Path) -> None:
        self.name, self.data_dir = name, data_dir

    def load(self, options: LoadOptions, *, emit: Emit) -> FullSet:
        """Load all images; torchvision downloads what is missing."""
        if self.name == "digits":
            return _digits()
        if BUILT_IN[self.name].torchvision_class:
            # torchvision states names of words for MNIST, and none for SVHN.
            class_names = _DIGITS if self.name in ("svhn", "mnist") else ()
            return from_torchvision(
                self._torchvision_part, f"fetching {self.name}", class_names, emit=emit
            )
        folder = self.data_dir / _TINYIMAGENET
        if not folder.is_dir():
            raise DataError(
                f"tinyimagenet is not at {folder}",
                "wget http://cs231n.stanford.edu/tiny-imagenet-200.zip && "
                + command("unzip", "-q", "tiny-imagenet-200.zip", "-d", self.data_dir),
            )
        return ImageFolderReader(folder).load(options, emit=emit)

    def _torchvision_part(self, train: bool) -> Any:
        """Return a part from torchvision, which downloads and checks its files."""
        import torchvision.datasets

        known = BUILT_IN[self.name]
        kind = getattr(torchvision.datasets, known.torchvision_class)
        choice: dict[str, Any] = {"train": train}
        if known.has_split:
            choice = {"split": "train" if train else "test"}
        try:
            return kind(root=str(self.data_dir), download=True, **choice)
        except _FAILURES as problem:
            raise _unavailable(self.name, self.data_dir, problem) from None

    def shape(self) -> Shape:
        return BUILT_IN[self.name].shape

    def training_counts(self) -> TrainingCounts:
        return TrainingCounts.of_counts(BUILT_IN[self.name].train)


def is_here(name: str, data_dir: Path) -> bool:
    """Return whether loading a built-in dataset downloads nothing."""
    known = BUILT_IN[name]
    if name == "digits":
        return True
    if name == "tinyimagenet":
        return (data_dir / _TINYIMAGENET).is_dir()
    paths = [data_dir / known.folder / file for file in known.files]
    return all(path.is_file() or path.with_suffix("").is_file() for path in paths)


def _digits() -> FullSet:
    """Load 1,797 grey digits of 8×8. A fifth of each class, always the same, is the test part."""
    import torch
    from sklearn.datasets import load_digits

    from datm_engine.compute.runtime import generator
    from datm_engine.data.splitting import ranks_within_class

    digits = load_digits()
    grey = torch.from_numpy(digits.images)[:, None]  # [n, 1, 8, 8], 0 to 16
    labels = torch.from_numpy(digits.target).to(torch.int64)
    every = ImageSet((grey * 255 / 16).round().to(torch.uint8), labels)
    ranks = ranks_within_class(labels, generator(0, "test images of digits"))
    held_out = ranks < (torch.bincount(labels) * 0.2).round()[labels]
    return FullSet(_DIGITS, {"train": every.subset(~held_out), "test": every.subset(held_out)})


def _unavailable(name: str, data_dir: Path, problem: Exception) -> DataError:
    if isinstance(problem, OSError) and problem.errno in _DISK_ERRORS:
        return DataError(
            f"{name} cannot be stored in the data folder {data_dir}: {problem.strerror}",
            remedy(problem, data_dir, "data_dir"),
        )
    known = BUILT_IN[name]
    folder = data_dir / known.folder
    reason = " ".join(str(problem).split()) or type(problem).__name__
    return DataError(
        f"{name} could be neither fetched into {folder} nor read there: {reason}",
        command("wget", "-N", "-P", folder, *(known.site + file for file in known.files)),
    )
