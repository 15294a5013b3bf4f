"""Read and write images, labels and learning rate in the files of other codes.

    DATM               images_*.pt, labels_*.pt (logits [n, classes]), lr_*.pt (0-d)
    MTT, FTD, TESLA    images_*.pt (FTD: ema_images_* too), labels_*.pt (class numbers [n])
    DC, DSA, DM        res_*.pt: {'data': [[images, class numbers], …], 'accs_all_exps': …}
    DC-BENCH           MTT's two files
    DD-Ranking         images.pt, labels.pt (logits), lr.pt

Images are float32 [n, channels, height, width], whitened or normalized, class after class.
`tensor_conversion` converts others to that.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.files import make_folder, replacing
from datm_engine.hints import HELP, command
from datm_engine.interop.pickles import bad_file, read_pickle
from datm_engine.interop.tensor_conversion import class_order, convert_images, convert_labels
from datm_engine.synthetic import SyntheticSet

_PARTS = re.compile(
    r"(?:ema_)?(images|labels|lr)(?:_(?!zca).*)?\.pt|(res)(?:_.*)?\.pt|(replay_buffer)(?:_.*)?\.pt"
)


@dataclass(frozen=True)
class ForeignSet:
    """A set of another code, class after class, with equally many images of each class.

    images: [n, channels, height, width] float32, or uint8 pixels. labels: logits [n, classes]
    float32, or class numbers [n] int64. rate: None if the files have none. experiments: the number
    of sets that the file has. notes: what was converted or sorted.
    """

    images: Tensor
    labels: Tensor
    rate: float | None
    experiments: int = 1
    notes: tuple[str, ...] = ()

    @property
    def classes(self) -> int:
        return self.labels.shape[1] if self.labels.ndim == 2 else int(self.labels.max()) + 1

    @property
    def has_probabilities(self) -> bool:
        """Whether the labels look like probabilities. These codes would use them as logits."""
        if self.labels.ndim == 1 or bool((self.labels < 0).any()):
            return False
        sums = self.labels.sum(dim=1)
        return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


def kind_of(path: Path) -> str:
    """ "images", "labels", "lr", "res" or "replay_buffer", by the file's name. Raises ConfigError
    for any other name."""
    if match := _PARTS.fullmatch(path.name):
        return next(group for group in match.groups() if group)
    if path.name.startswith("images_zca"):
        wrong = f"{path} has the whitening undone, for viewing; networks are trained on the other"
        raise ConfigError(wrong, command("ls", path.with_name(path.name.replace("zca_", ""))))
    raise ConfigError(
        f"{path} is named like none of images_*.pt, labels_*.pt, lr_*.pt, res_*.pt, "
        "replay_buffer_*.pt and images.pt, labels.pt, lr.pt: the name says what a file holds",
        HELP,
    )


def read_set(paths: Sequence[Path], *, experiment: int = 0) -> ForeignSet:
    """Read one set from its one, two or three files. experiment: its number in a res_*.pt.

    Raises ConfigError for files that do not belong together, FileError for bad content.
    """
    kinds = {kind_of(path): path for path in paths}
    named = ", ".join(path.name for path in paths)
    for kind, last in kinds.items():
        if more := [path for path in paths if path != last and kind_of(path) == kind]:
            wrong = f"{more[0].name} and {last.name} are both {kind} of a set: name one of them"
            raise ConfigError(wrong, HELP)
    if len(kinds) != len(paths) or (kinds.keys() - {"lr"}) not in ({"images", "labels"}, {"res"}):
        wrong = f"{named}: not one set, which is images_*.pt with labels_*.pt, or one res_*.pt"
        raise ConfigError(wrong, HELP)
    experiments = 1
    if "res" in kinds:
        images_file = labels_file = kinds["res"]
        content, experiments = _experiment(images_file, experiment)
    else:
        images_file, labels_file = kinds["images"], kinds["labels"]
        content = read_pickle(images_file), read_pickle(labels_file)
    rate = _rate(kinds["lr"]) if "lr" in kinds else None
    images_notes: list[str] = []
    labels_notes: list[str] = []
    file = images_file
    try:
        images = convert_images(content[0], images_notes)
        file = labels_file
        labels = convert_labels(content[1], len(images), labels_notes)
        order = class_order(labels, labels_notes)
    except ValueError as problem:
        raise _unfit(file, str(problem)) from None
    if order is not None:  # [n]
        images, labels = images[order], labels[order]
    notes = [f"{images_file.name}: {note}" for note in images_notes]
    notes += [f"{labels_file.name}: {note}" for note in labels_notes]
    return ForeignSet(images, labels, rate, experiments, tuple(notes))


def save_soft(folder: Path, synthetic: SyntheticSet, suffix: str = "_best") -> list[Path]:
    """Write images_best.pt, labels_best.pt (logits) and lr_best.pt, as DATM's code reads them.
    DD-Ranking reads the same files without a suffix. Raises FileError."""
    rate = torch.tensor(synthetic.syn_lr)
    tensors = {"images": synthetic.images, "labels": synthetic.labels, "lr": rate}
    return _save(folder, tensors, suffix)


def save_hard(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """Write images_best.pt and labels_best.pt (each label's top class, int64), as MTT's code and
    DC-BENCH read them. Neither takes a learning rate. Raises FileError."""
    tensors = {"images": synthetic.images, "labels": synthetic.labels.argmax(dim=1)}
    return _save(folder, tensors, "_best")


def _save(folder: Path, tensors: dict[str, Tensor], suffix: str) -> list[Path]:
    """Write each tensor by torch.save. The same content gives the same bytes."""
    make_folder(folder)
    paths = []
    for name, tensor in tensors.items():
        path = folder / f"{name}{suffix}.pt"
        # torch.save would write the name of a path, which is a temporary one, into the content.
        with replacing(path, RuntimeError) as beside, beside.open("wb") as file:
            torch.save(tensor.detach().cpu().clone(), file)
        paths.append(path)
    return paths


def _experiment(path: Path, number: int) -> tuple[tuple[object, object], int]:
    """Images and labels, and the number of experiments in the file."""
    content = read_pickle(path)
    sets = content.get("data") if isinstance(content, dict) else None
    if not isinstance(sets, list) or not all(isinstance(s, list | tuple) for s in sets) or not sets:
        raise _unfit(path, "it is no dict with 'data', a list of [images, labels]")
    if number >= len(sets):
        wrong = f"experiment {number}: {path} has {len(sets)}, counted from 0"
        raise ConfigError(wrong, Setting("experiment", len(sets) - 1))
    if len(sets[number]) != 2:
        raise _unfit(path, f"experiment {number} is not a pair of images and labels")
    images, labels = sets[number]  # [n, c, h, w], [n]
    return (images, labels), len(sets)


def _rate(path: Path) -> float:
    value = read_pickle(path)
    if isinstance(value, Tensor) and value.numel() == 1 and not value.is_complex():
        value = value.item()
    is_number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not (is_number and 0 < float(value) < float("inf")):
        raise _unfit(path, "it is no positive number")
    return float(value)


def _unfit(path: Path, problem: str) -> FileError:
    return bad_file(path, f"{path} cannot be imported: {problem}")
