"""The distilled set that a command is given: of a run, or in a file."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from datm_engine.errors import ConfigError, FileError, Setting
from datm_engine.hints import command
from datm_engine.runs.directory import Run

if TYPE_CHECKING:
    from torch import Tensor

    from datm_engine.runs.state import RunState
    from datm_engine.synthetic import SyntheticSet


@dataclass(frozen=True)
class TargetSet:
    """A distilled set.

    start: the first pictures, uint8 [n, channels, height, width]. Only runs have it, and a state.
    """

    name: str
    synthetic: SyntheticSet
    start: Tensor | None = None
    state: RunState | None = None
    run: Run | None = None


def find(target: str, runs_dir: Path, *, last: bool = False) -> Path | Run:
    """The file, or the run of that name or in that folder. Nothing is read yet.

    Raises ConfigError if the last iteration of a file is requested, FileError or RunError if there
    is neither.
    """
    path = Path(target)
    if (path / "run.json").is_file():  # a run's folder, as the shell completes it
        return Run(path if path.name else path.resolve())
    if not path.is_file():
        if path.suffix == ".safetensors":
            raise FileError(f"{target}: no such file", command("ls", path.parent))
        return Run.open(runs_dir, target)
    if last:
        raise ConfigError(
            f"--last: {target} is a file and holds one set; runs have a last iteration",
            Setting("last", False),
        )
    return path


def read(target: str, found: Path | Run, *, last: bool = False) -> TargetSet:
    """The set that `find` found for `target`. Raises FileError if it cannot be read."""
    from datm_engine.distillation.distilled_sets import read_distilled
    from datm_engine.summary import read_pictures
    from datm_engine.synthetic import SyntheticSet

    if isinstance(found, Path):
        return TargetSet(target, SyntheticSet.load(found))
    synthetic = read_distilled(found, last=last)
    beginning = found.samples / "initial.safetensors"
    start = read_pictures(beginning)
    if start is not None and start.shape != synthetic.images.shape:
        raise FileError(
            f"{beginning}: {list(start.shape)} pictures, but the set is "
            f"{list(synthetic.images.shape)}",
            command("datm", "inspect", found.distilled),
        )
    return TargetSet(found.name, synthetic, start, found.state(), found)


def choose_classes(
    wanted: Sequence[str] | None, class_names: Sequence[str], dataset: str
) -> list[int]:
    """The indices of the classes with these names, or of all. Raises ConfigError for an unknown
    name."""
    if not wanted:
        return list(range(len(class_names)))
    for name in wanted:
        if name not in class_names:
            near = difflib.get_close_matches(name, class_names, 1) or class_names
            raise ConfigError(
                f"--class {name}: {dataset} has no such class",
                Setting("class", near[0]),
            )
    return [class_names.index(name) for name in dict.fromkeys(wanted)]
