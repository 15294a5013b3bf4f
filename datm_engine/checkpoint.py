"""All that a distillation needs to go on exactly where it was."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from safetensors import SafetensorError
from torch import Tensor

from datm_engine.errors import FileError
from datm_engine.hints import command
from datm_engine.tensors import read_tensors, save_tensors

FORMAT = "datm-checkpoint/1"
LEARNED = ("images", "labels", "syn_lr")
AVERAGE = "average.images"


@dataclass(frozen=True)
class Progress:
    """`iteration`: iterations done; `skipped` of them took no step, `refusals` of these in a row
    just now; `loss`: of the last one; `considered`: the iteration of the last candidate that was
    scored; `best_accuracy`: of the best one, in percent; `at_once`: as many images as a student
    step has room for at once, where that is known from running out of memory (`Division`)."""

    iteration: int = 0
    skipped: int = 0
    refusals: int = 0
    loss: float | None = None
    considered: int = 0
    best_accuracy: float | None = None
    at_once: int | None = None


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
        """Raises FileError; an earlier checkpoint at `path` then still stands."""
        velocities = {f"velocity.{name}": tensor for name, tensor in self.velocities.items()}
        progress = json.dumps(asdict(self.progress))
        metadata = {"format": FORMAT, "experts": self.experts, "progress": progress}
        average = {} if self.average is None else {AVERAGE: self.average}
        save_tensors(path, {**self.learned, **velocities, **average}, metadata)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Tensors on the CPU. Raises FileError for a file that is damaged or something else."""
        aside = command("mv", path, f"{path}.damaged")
        hint = f"{aside}   # the run then starts again from iteration 0"
        try:
            tensors, metadata = read_tensors(path)
            if metadata.get("format") != FORMAT:
                raise FileError(f"{path} is not a checkpoint", hint)
            stated = {"at_once": None, **json.loads(metadata["progress"])}  # younger than the rest
            progress = Progress(**{field.name: stated[field.name] for field in fields(Progress)})
            return cls(
                progress,
                {name: tensors[name] for name in LEARNED},
                {n: tensors[f"velocity.{n}"] for n in LEARNED if f"velocity.{n}" in tensors},
                metadata["experts"],
                tensors.get(AVERAGE),
            )
        except (SafetensorError, OSError, KeyError, ValueError, TypeError) as problem:
            raise FileError(f"{path} is damaged: {problem}", hint) from None
