"""Expert trajectories on disk: a safetensors file for each expert, a folder for each set.

A file holds one tensor `snapshots` [epochs + 1, weights], float32 or bfloat16: the weights before
training and after every epoch. An iteration reads two rows of it, not the whole file. A set is read
whole once, when it is opened, to find damage. A folder is named by a fingerprint of all that
determines the experts, so that experts of other settings never mix.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from datm_engine.errors import FileError
from datm_engine.files import make_folder, or_elsewhere, save_text
from datm_engine.hints import command
from datm_engine.networks.weights import Layout
from datm_engine.tensors import UNREADABLE, open_tensors, read_tensors, save_tensors

FORMAT = "datm-expert/1"


def fingerprint(facts: Mapping[str, Any]) -> str:
    """16 hexadecimal digits that change when anything in `facts` does."""
    text = json.dumps(facts, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@dataclass(frozen=True)
class ExpertSet:
    """The experts in a folder. epochs: of each. layout: of their weights. dtype: in the files.

    is_open: whether they may have fewer epochs, as the first expert decides (`experts.early_stop`).
    """

    folder: Path
    layout: Layout
    epochs: int
    dtype: torch.dtype = torch.float32
    is_open: bool = False

    def settled(self) -> ExpertSet:
        """With the number of epochs of the experts on disk, if there are any."""
        if not self.is_open:
            return self
        for path in sorted(self.folder.glob("expert-*.safetensors")):
            with suppress(*UNREADABLE), open_tensors(path) as file:  # `ready` reports a damaged one
                rows, _ = file.get_slice("snapshots").get_shape()
                return replace(self, epochs=rows - 1, is_open=False)
        return self

    def create_folder(self, facts: Mapping[str, Any]) -> None:
        """Create the folder, with the `facts` that it is named after in experts.json, which is
        written again if it is damaged. Raises FileError."""
        described, text = self.folder / "experts.json", json.dumps(facts, indent=2) + "\n"
        with or_elsewhere(self.folder.parent, "experts_dir"):
            make_folder(self.folder)
            if not described.exists() or described.read_bytes() != text.encode():
                save_text(described, text)

    def path(self, expert: int) -> Path:
        return self.folder / f"expert-{expert:04d}.safetensors"

    def ready(self, count: int) -> list[int]:
        """Which of the first `count` experts are on disk, after reading each of them whole. Raises
        FileError for a damaged one."""
        present = self.present(count)
        for expert in present:
            self.verify(expert)
        return present

    def present(self, count: int) -> list[int]:
        """Which of the first `count` experts are on disk, unread."""
        return [expert for expert in range(count) if self.path(expert).exists()]

    @property
    def expert_size(self) -> int:
        """Bytes of one expert's file."""
        return self.dtype.itemsize * (self.epochs + 1) * self.layout.size

    def save(self, expert: int, snapshots: Tensor, metadata: Mapping[str, str]) -> None:
        """snapshots: [epochs + 1, weights] float32. Raises FileError."""
        written = snapshots.to(self.dtype)
        described = {
            "format": FORMAT,
            "set": self.folder.name,
            "names": json.dumps(self.layout.names),
            "shapes": json.dumps(self.layout.shapes),
            **metadata,
        }
        save_tensors(self.path(expert), {"snapshots": written}, described)

    def snapshot(self, expert: int, epoch: int) -> Tensor:
        """θ*_epoch: [weights] float32 on the CPU."""
        return self._read(expert, [epoch])[0]

    def segment(self, expert: int, start_epoch: int, target_epoch: int) -> tuple[Tensor, Tensor]:
        """θ*_t and θ*_{t+M}."""
        start, target = self._read(expert, [start_epoch, target_epoch])
        return start, target

    def verify(self, expert: int) -> None:
        """Read an expert whole. Raises FileError if it is damaged."""
        path = self.path(expert)
        self._read(expert, [0])
        try:
            tensors, _ = read_tensors(path)
        except UNREADABLE as problem:
            raise _unusable(path, f"is damaged: {problem}") from None
        if not bool(torch.isfinite(tensors["snapshots"]).all()):
            raise _unusable(path, "holds weights that are not finite")

    def _read(self, expert: int, epochs: list[int]) -> list[Tensor]:
        """The snapshots [weights] of these epochs, float32."""
        path = self.path(expert)
        try:
            with open_tensors(path) as file:
                metadata = file.metadata() or {}
                rows = file.get_slice("snapshots")
                count, size = rows.get_shape()
                if metadata.get("set") != self.folder.name:
                    raise _unusable(path, "belongs to another set of experts")
                fits = count == self.epochs + 1 or (self.is_open and count <= self.epochs)
                if not (fits and size == self.layout.size):
                    expected = f"{self.epochs} of {self.layout.size}"
                    raise _unusable(
                        path, f"holds {count - 1} epochs of {size} weights, not {expected}"
                    )
                read = [rows[epoch].float() for epoch in epochs]
        except FileNotFoundError:
            raise FileError(f"{path}: no such file", command("ls", self.folder)) from None
        except UNREADABLE as problem:
            raise _unusable(path, f"is damaged: {problem}") from None
        if not all(bool(torch.isfinite(row).all()) for row in read):
            raise _unusable(path, "holds weights that are not finite")
        return read


def _unusable(path: Path, wrong: str) -> FileError:
    return FileError(f"{path} {wrong}; without it, it is trained again", command("rm", path))
