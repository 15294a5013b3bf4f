"""All that a distillation needs to go on exactly where it was."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import Tensor

from datm_engine.errors import FileError
from datm_engine.files import parse_json, passing
from datm_engine.hints import command
from datm_engine.tensors import read_tensors, save_tensors

FORMAT = "datm-checkpoint/1"
LEARNED = ("images", "labels", "syn_lr")
AVERAGE = "average.images"


@dataclass(frozen=True)
class Progress:
    """`iteration`: iterations done; `skipped` of them took no step, `refusals` of these in a row
    just now, `refused`: why the last of them took none; `loss`: of the last one; `considered`: the
    iteration of the last candidate that was scored; `best_accuracy`: of the best one, in percent;
    `at_once`: as many images as a student step has room for at once, where that is known from
    running out of memory (`Division`)."""

    iteration: int = 0
    skipped: int = 0
    refusals: int = 0
    loss: float | None = None
    considered: int = 0
    best_accuracy: float | None = None
    at_once: int | None = None
    refused: str = ""


@dataclass(frozen=True)
class Checkpoint:
    """What is learned, `images`, `labels` (logits) and `syn_lr`, each with the velocity its
    momentum has built up, under the same names (absent before the first step); `experts` is the
    fingerprint of the set that is matched, and so of the data; `average` is that of the images,
    where they are averaged (None also before the first step)."""

    progress: Progress
    learned: dict[str, Tensor]
    velocities: dict[str, Tensor]
    experts: str
    average: Tensor | None = None

    @property
    def distilled(self) -> dict[str, Tensor]:
        """The set as it stands: what is learned, with the images' average in their place if there
        is one."""
        return self.learned if self.average is None else {**self.learned, "images": self.average}

    def save(self, path: Path) -> None:
        """The checkpoint that stood at `path` is kept under the name of `earlier`. Raises
        FileError; that one then still stands at `path` itself."""
        velocities = {f"velocity.{name}": tensor for name, tensor in self.velocities.items()}
        progress = json.dumps(asdict(self.progress))
        metadata = {"format": FORMAT, "experts": self.experts, "progress": progress}
        average = {} if self.average is None else {AVERAGE: self.average}
        _keep(path)
        save_tensors(path, {**self.learned, **velocities, **average}, metadata)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Tensors on the CPU. Raises Unreadable, or FileError for a file that is damaged or
        something else; its hint is to take the checkpoint before it, if that is sound."""
        try:
            return cls._read(path)
        except (SafetensorError, OSError, RuntimeError, KeyError, ValueError, TypeError) as problem:
            wrong = f"{path} is damaged: {problem}"
        try:
            before = cls._read(earlier(path)).progress.iteration
        except (
            SafetensorError, FileError, OSError, RuntimeError, KeyError, ValueError, TypeError
        ):  # fmt: skip
            aside = command("mv", path, f"{path}.damaged")
            raise FileError(wrong, f"{aside}   # the run then starts from iteration 0") from None
        back = command("mv", earlier(path), path)
        hint = f"{back}   # the one before it is intact: the run goes on from iteration {before}"
        raise FileError(wrong, hint)

    @classmethod
    def _read(cls, path: Path) -> Checkpoint:
        tensors, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise ValueError("it is no checkpoint")
        return cls(
            _progress(parse_json(metadata["progress"])),
            {name: tensors[name] for name in LEARNED},
            {n: tensors[f"velocity.{n}"] for n in LEARNED if f"velocity.{n}" in tensors},
            metadata["experts"],
            tensors.get(AVERAGE),
        )


def earlier(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}-before{path.suffix}")


def _keep(path: Path) -> None:
    """Give the checkpoint at `path` its second name, under which it stays when another takes its
    place. It takes no time and no room until then."""
    before, made = earlier(path), passing(earlier(path))
    with suppress(OSError):  # a disk without links keeps one checkpoint, not two
        if path.exists() and not (before.exists() and before.samefile(path)):
            os.link(path, made)
            made.replace(before)


def _progress(stated: dict[str, Any]) -> Progress:
    """Raises KeyError or ValueError for what is none."""
    stated = {"at_once": None, "refused": "", **stated}  # younger than the rest
    for field in fields(Progress):
        value = stated[field.name]
        is_count = type(value) is int and value >= 0
        if field.type == "int" and not is_count:
            raise ValueError(f"its {field.name} is {value!r}")
        if field.type == "float | None" and not (value is None or type(value) in (int, float)):
            raise ValueError(f"its {field.name} is {value!r}")
        if field.type == "str" and not isinstance(value, str):
            raise ValueError(f"its {field.name} is {value!r}")
        if field.type == "int | None" and not (value is None or (is_count and value > 0)):
            raise ValueError(f"its {field.name} is {value!r}")
    return Progress(**{field.name: stated[field.name] for field in fields(Progress)})
