"""run.json: what is known of a run before it starts, and what its settings were derived from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from datm_engine.errors import RunError
from datm_engine.files import parse_json, save_text, validated
from datm_engine.hints import datm

FILE = "run.json"
MAX_THREADS = 4096


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class Arithmetic(_Strict):
    """How a run computes. A run that resumes keeps it, so that results stay the same bit for bit.

    memory: bytes for the graph of a student's steps, 0 for no limit. threads: None until the
    process that computes has decided all of this. compiled: whether each step of
    `compile = "auto"` was compiled.
    """

    precision: Literal["float32", "tf32", "bfloat16"] = "float32"
    memory: int = 0
    threads: Annotated[int, Field(ge=1, le=MAX_THREADS)] | None = None
    compile: Literal["auto", "on", "off"] = "off"
    compiled: dict[str, bool] = {}

    @property
    def is_decided(self) -> bool:
        return self.threads is not None


class DerivedValue(_Strict):
    """A setting that calibration derived, and why."""

    value: int | float
    reason: str


class Manifest(_Strict):
    """The content of run.json.

    config: tables of settings. created: seconds since the epoch. source: where the settings come
    from, in words; presets: the names of the presets in it. device, environment: what the run
    was begun on, in words. options: the folders of the command and how it was to compute, by the
    names of its options. log: trackers, with commas. derive: keys that are derived from the experts
    when these are trained; then derived, learning_curves and random hold the values with their
    reasons, what the experts know, and the accuracy of random real images.
    """

    config: dict[str, Any]
    created: Annotated[float, Field(ge=-1e12, le=1e12)] = 0.0
    source: str = ""
    presets: list[str] = []
    device: str = ""
    options: dict[str, str] = {}
    arithmetic: Arithmetic = Arithmetic()
    environment: dict[str, str | int] = {}
    log: str = ""
    derive: list[str] = []
    derived: dict[str, DerivedValue] = {}  # by "table.key"
    learning_curves: dict[str, Any] | None = None
    random: float | None = None

    def save(self, folder: Path) -> None:
        """Raises FileError; an earlier file then stays as it is."""
        save_text(folder / FILE, json.dumps(self.model_dump(), indent=2) + "\n")

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Raises RunError if the file is damaged."""
        path = folder / FILE
        try:
            return validated(cls, parse_json(path.read_text(encoding="utf-8")))
        except (OSError, ValueError) as problem:
            listing = datm("runs", runs_dir=folder.parent)
            raise RunError(f"{path} is damaged: {problem}", listing) from None
