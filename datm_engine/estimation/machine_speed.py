"""How fast this machine computes: three times, fitted to a few steps, and cached in a file."""

from __future__ import annotations

import json
import platform
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from datm_engine.estimation.operations import Operations
from datm_engine.files import make_folder, parse_json, save_text, validated

FILE = "machine-speed.json"


@dataclass(frozen=True)
class MachineSpeed:
    """Seconds of a floating point operation, of a byte read or written, and of a kernel's launch.

    device: in words, with its number of threads. device_kind: "cpu", "cuda" or "mps".
    """

    device: str
    device_kind: str
    threads: int
    flop: float
    byte: float
    kernel: float

    def seconds(self, operations: Operations) -> float:
        return (
            self.flop * operations.flops
            + self.byte * operations.bytes
            + self.kernel * operations.kernels
        )


@dataclass(frozen=True)
class SpeedCache:
    """The speeds that were measured on machines that share a folder, each under the options that it
    depends on: they are known before torch is loaded."""

    folder: Path

    def key(self, device: str, precision: str, threads: int) -> str:
        parts = (platform.node(), version("torch"), device, precision, str(threads))
        return " ".join(parts)

    def read(self, key: str) -> MachineSpeed | None:
        """None where it was not measured, or cannot be read: it is measured again."""
        try:
            content = self._content()
            return validated(MachineSpeed, content[key]) if key in content else None
        except ValueError:
            return None

    def write(self, key: str, speed: MachineSpeed) -> None:
        """Raises FileError."""
        try:
            content = self._content()
        except ValueError:
            content = {}
        make_folder(self.folder)
        save_text(self.folder / FILE, json.dumps(content | {key: asdict(speed)}, indent=2))

    def _content(self) -> dict[str, Any]:
        """Raises ValueError for a file that is damaged."""
        path = self.folder / FILE
        if not path.exists():
            return {}
        content = parse_json(path.read_text(encoding="utf-8"))
        if not isinstance(content, dict):
            raise ValueError("it is not a JSON object")
        return content
