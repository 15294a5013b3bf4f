"""Images, labels and rate in the files of other codes.

    DATM               images_*.pt, labels_*.pt (logits [n, classes]), lr_*.pt (0-d)
    MTT, FTD, TESLA    images_*.pt (FTD: ema_images_* too), labels_*.pt (class numbers [n])
    DC, DSA, DM        res_*.pt: {'data': [[images, class numbers], …], 'accs_all_exps': …}
    DC-BENCH           MTT's two files
    DD-Ranking         images.pt, labels.pt (logits), lr.pt

Images are float32 [n, channels, height, width], whitened or normalised, class after class; others
are converted (`conversion.py`).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from datm_engine.errors import ConfigError, FileError
from datm_engine.files import make_folder, replacing
from datm_engine.hints import HELP, command
from datm_engine.interop import pickles
from datm_engine.interop.tensor_conversion import class_order, convert_images, convert_labels
from datm_engine.synthetic import SyntheticSet

_PARTS = re.compile(
    r"(?:ema_)?(images|labels|lr)(?:_(?!zca).*)?\.pt|(res)(?:_.*)?\.pt|(replay_buffer)(?:_.*)?\.pt"
)


@dataclass(frozen=True)
class Foreign:
    """images: [n, channels, height, width] float32, or uint8 pixels; labels: [n, classes] float32
    logits or [n] int64 class numbers, class after class and equally many of each; `rate` where the
    files have one; `experiments`: how many sets there were to choose from; `notes`: what was
    converted or sorted."""

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
        """Whether the labels look like probabilities, which these codes would take as logits."""
        if self.labels.ndim == 1 or bool((self.labels < 0).any()):
            return False
        sums = self.labels.sum(dim=1)
        return torch.allclose(sums, torch.ones_like(sums), atol=1e-4)


def kind_of(path: Path) -> str:
    """ "images", "labels", "lr", "res" or "replay_buffer", by the file's name.

    Raises ConfigError for any other.
    """
    if match := _PARTS.fullmatch(path.name):
        return next(group for group in match.groups() if group)
    if path.name.startswith("images_zca"):
        wrong = (
            f"{path} has the whitening undone, for looking at; networks are trained on the other"
        )
        raise ConfigError(wrong, command("ls", path.with_name(path.name.replace("zca_", ""))))
    raise ConfigError(
        f"{path} is named like none of images_*.pt, labels_*.pt, lr_*.pt, res_*.pt, "
        "replay_buffer_*.pt and images.pt, labels.pt, lr.pt: the name says what a file holds",
        HELP,
    )


def read(paths: Sequence[Path], *, experiment: int = 0) -> Foreign:
    """One set from its one, two or three files; `experiment` chooses within a res_*.pt.

    Raises ConfigError for files that do not belong together, FileError for their content.
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
        of_images = of_labels = kinds["res"]
        images, labels, experiments = _experiment(of_images, experiment)
    else:
        of_images, of_labels = kinds["images"], kinds["labels"]
        images, labels = pickles.read(of_images), pickles.read(of_labels)
    rate = _rate(kinds["lr"]) if "lr" in kinds else None
    with _importing(of_images):
        pictures, notes = convert_images(images)
    with _importing(of_labels):
        targets, of_targets = convert_labels(labels, len(pictures))
        order, sorting = class_order(targets)
    if order is not None:
        pictures, targets = pictures[order], targets[order]
    notes = [f"{of_images.name}: {note}" for note in notes]
    notes += [f"{of_labels.name}: {note}" for note in (*of_targets, *sorting)]
    return Foreign(pictures, targets, rate, experiments, tuple(notes))


def save_official(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """images_best.pt, labels_best.pt (logits) and lr_best.pt, as DATM's code reads them.
    Raises FileError."""
    rate = torch.tensor(synthetic.syn_lr)
    parts = {"images": synthetic.images, "labels": synthetic.labels, "lr": rate}
    return _save(folder, parts)


def save_hard(folder: Path, synthetic: SyntheticSet) -> list[Path]:
    """images_best.pt and labels_best.pt (the label's top class, int64), as MTT's code and DC-BENCH
    read them; neither takes a rate. Raises FileError."""
    return _save(folder, {"images": synthetic.images, "labels": synthetic.labels.argmax(dim=1)})


def save(path: Path, tensor: Tensor) -> Path:
    """One tensor by torch.save, whole or not at all, and the same bytes for the same content.
    Raises FileError."""
    # Into an open file: given a path, torch.save would write that passing name into the content.
    with replacing(path, RuntimeError) as beside, beside.open("wb") as file:
        torch.save(tensor.detach().cpu().clone(), file)
    return path


def _save(folder: Path, parts: dict[str, Tensor]) -> list[Path]:
    make_folder(folder)
    return [save(folder / f"{name}_best.pt", tensor) for name, tensor in parts.items()]


def _experiment(path: Path, number: int) -> tuple[object, object, int]:
    content = pickles.read(path)
    sets = content.get("data") if isinstance(content, dict) else None
    if not isinstance(sets, list) or not all(isinstance(s, list | tuple) for s in sets) or not sets:
        raise _unfit(path, "it is no dict with 'data', a list of [images, labels]")
    if number >= len(sets):
        wrong = f"--experiment {number}: {path} has {len(sets)}, counted from 0"
        raise ConfigError(wrong, f"--experiment {len(sets) - 1}")
    if len(sets[number]) != 2:
        raise _unfit(path, f"experiment {number} is not a pair of images and labels")
    images, labels = sets[number]
    return images, labels, len(sets)


def _rate(path: Path) -> float:
    tensor = pickles.read(path)
    rate = 0.0
    if _is_number(tensor):
        rate = float(tensor.detach() if isinstance(tensor, Tensor) else tensor)
    if not 0 < rate < float("inf"):
        raise _unfit(path, "it is no positive number")
    return rate


def _is_number(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() == 1 and not value.is_complex()
    return isinstance(value, int | float | np.number) and not isinstance(value, bool)


@contextmanager
def _importing(path: Path) -> Iterator[None]:
    """A ValueError within becomes a FileError that names `path`."""
    try:
        yield
    except ValueError as problem:
        raise _unfit(path, str(problem)) from None


def _unfit(path: Path, problem: str) -> FileError:
    return FileError(f"{path} cannot be imported: {problem}", command("ls", "-l", path))
