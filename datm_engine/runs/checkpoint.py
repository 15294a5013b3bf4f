"""The checkpoint: all that a distillation needs to resume bit for bit.

While a run distils, `distillation.artifacts.ArtifactWriter.write_checkpoint` writes it, whenever
`distillation.loop` decides.
"""

from __future__ import annotations

import json
import os
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import pydantic.dataclasses
from pydantic import ConfigDict, Field
from torch import Tensor

from datm_engine.errors import FileError
from datm_engine.files import parse_json, temporary_path, validated
from datm_engine.hints import command
from datm_engine.runs.events import SkipReason
from datm_engine.tensors import UNREADABLE, open_tensors, read_tensors, save_tensors

FORMAT = "datm-checkpoint/2"
LEARNED = ("images", "labels", "syn_lr")
AVERAGE = "average.images"

Count = Annotated[int, Field(ge=0)]


@pydantic.dataclasses.dataclass(frozen=True, config=ConfigDict(strict=True))
class Progress:
    """How far a distillation is.

    iteration: iterations done. skipped: those of them that took no step. skipped_in_a_row: how many
    of the latest took none. skip_reason: why the latest skipped iteration was skipped. loss: of the
    last iteration. last_candidate: the latest iteration whose set was scored as a candidate for the
    selected set. best_accuracy: the highest score of a candidate, in percent. piece_size: how
    many images of a mini-batch are computed at once since memory ran out; None if it never did.
    """

    iteration: Count = 0
    skipped: Count = 0
    skipped_in_a_row: Count = 0
    loss: float | None = None
    last_candidate: Count = 0
    best_accuracy: float | None = None
    piece_size: Annotated[int, Field(gt=0)] | None = None
    skip_reason: Annotated[SkipReason | None, Field(strict=False)] = None  # a string in a file


@dataclass(frozen=True)
class Checkpoint:
    """The state of a distillation.

    learned: images [n, channels, height, width], labels (logits) [n, classes] and syn_lr [].
    velocities: the momentum of each, under the same names; empty before the first step. experts:
    fingerprint of the experts, and so of the data. average: of the images, where they are averaged.
    """

    progress: Progress
    learned: dict[str, Tensor]
    velocities: dict[str, Tensor]
    experts: str
    average: Tensor | None = None

    @property
    def distilled(self) -> dict[str, Tensor]:
        """The synthetic set: what is learned, with averaged images if there are any."""
        return self.learned if self.average is None else {**self.learned, "images": self.average}

    def save(self, path: Path) -> None:
        """Save, and keep the checkpoint that was at `path` at `previous_checkpoint(path)`.

        Raises FileError; the checkpoint at `path` then stays as it is.
        """
        # One flat namespace of tensors: images, velocity.images, average.images, …
        velocities = {f"velocity.{name}": tensor for name, tensor in self.velocities.items()}
        average = {} if self.average is None else {AVERAGE: self.average}
        progress = json.dumps(asdict(self.progress))
        metadata = {"format": FORMAT, "experts": self.experts, "progress": progress}
        _link_previous(path)  # before `path` is replaced: at any moment one of both names is intact
        save_tensors(path, {**self.learned, **velocities, **average}, metadata)

    @classmethod
    def load(cls, path: Path) -> Checkpoint:
        """Load to the CPU. Raises FileError if the file is damaged, with the command that restores
        the checkpoint before it, if that is intact."""
        try:
            return cls._read(path)
        except UNREADABLE as problem:
            message = f"{path} is damaged: {problem}"
        restart = f"{command('mv', path, f'{path}.damaged')}   # the run restarts at iteration 0"
        try:
            iteration = cls._read(previous_checkpoint(path)).progress.iteration
        except (FileError, *UNREADABLE):
            raise FileError(message, restart) from None
        restore = command("mv", previous_checkpoint(path), path)
        hint = f"{restore}   # the checkpoint before it is intact, at iteration {iteration}"
        raise FileError(message, hint)

    @classmethod
    def load_progress(cls, path: Path) -> Progress:
        """Read the progress only, in a moment: damaged tensors are not noticed. Raises FileError as
        `load` does."""
        try:
            with open_tensors(path) as file:
                return validated(Progress, parse_json(file.metadata()["progress"]))
        except UNREADABLE:
            return cls.load(path).progress

    @classmethod
    def _read(cls, path: Path) -> Checkpoint:
        tensors, metadata = read_tensors(path)
        if metadata.get("format") != FORMAT:
            raise ValueError("it is not a checkpoint")
        return cls(
            validated(Progress, parse_json(metadata["progress"])),
            {name: tensors[name] for name in LEARNED},
            {n: tensors[f"velocity.{n}"] for n in LEARNED if f"velocity.{n}" in tensors},
            metadata["experts"],
            tensors.get(AVERAGE),
        )


def previous_checkpoint(path: Path) -> Path:
    """Where the checkpoint before the one at `path` is kept."""
    return path.with_name(f"{path.stem}-previous{path.suffix}")


def _link_previous(path: Path) -> None:
    """Hard-link the checkpoint at `path` to `previous_checkpoint(path)`, so that it stays when the
    next one replaces it. A hard link takes no time and no space."""
    previous, link = previous_checkpoint(path), temporary_path(previous_checkpoint(path))
    with suppress(OSError):  # a file system without links keeps one checkpoint instead of two
        if path.exists() and not (previous.exists() and previous.samefile(path)):
            os.link(path, link)
            link.replace(previous)
