"""Strips of the same images over the iterations, the early window's above the late one's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_cli.gallery.image_history import Samples
from datm_cli.text.contact_sheet import Row, save_sheet
from datm_engine.runs.directory import Run
from datm_engine.studies.study_plan import SAMPLES, WINDOWS, Plan
from datm_engine.summary import read_pictures
from datm_engine.synthetic import SyntheticSet

IMAGES = 3  # of each ipc, each of another class
SHOWN = (WINDOWS[0], WINDOWS[-1])


@dataclass(frozen=True)
class Strip:
    """An image at some iterations. pictures: uint8 [n, height, width, channels]."""

    ipc: int
    class_name: str
    variant: str
    iterations: tuple[int, ...]
    pictures: NDArray[np.uint8]

    @property
    def name(self) -> str:
        return f"{self.ipc} per class, {self.class_name}: {self.variant}"


def read_strips(plan: Plan, runs_dir: Path) -> list[Strip]:
    """The first image of some classes, from the same start, at iterations that both windows' runs
    have saved. An ipc of which one of the runs has no pictures yet has none."""
    return [strip for ipc in plan.ipcs for strip in _strips(plan, runs_dir, ipc)]


def save_strips(path: Path, strips: Sequence[Strip]) -> None:
    """As one sheet, with the iteration under each picture. Raises FileError."""
    rows, first = [], 0
    for strip in strips:
        count = len(strip.pictures)
        captions = ["start" if at == 0 else f"{at:,}" for at in strip.iterations]
        rows.append(Row(strip.name, range(first, first + count), captions))
        first += count
    save_sheet(path, np.concatenate([strip.pictures for strip in strips]), rows)


def _strips(plan: Plan, runs_dir: Path, ipc: int) -> Iterator[Strip]:
    chosen = {run.variant: Run(runs_dir / run.name) for run in plan.runs if run.ipc == ipc}
    runs = [chosen[variant] for variant in SHOWN]
    starts = [read_pictures(run.samples / "initial.safetensors") for run in runs]
    if any(start is None for start in starts):
        return
    names = SyntheticSet.load(runs[0].distilled).class_names
    samples = [Samples(run) for run in runs]
    for place in _spread(len(names), IMAGES):
        index = place * ipc
        moments = [{m.iteration: m for m in some.moments(index)} for some in samples]
        shared = sorted(set.intersection(*(set(known) for known in moments)))
        iterations = [shared[k] for k in _spread(len(shared), SAMPLES)]
        for variant, start, known in zip(SHOWN, starts, moments, strict=True):
            assert start is not None
            pictures = [start[index].permute(1, 2, 0).numpy()]
            pictures += [known[at].picture() for at in iterations]
            yield Strip(ipc, names[place], variant, (0, *iterations), np.stack(pictures))


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers below `count`, evenly, the last among them."""
    wanted = min(wanted, count)
    return [(k + 1) * count // wanted - 1 for k in range(wanted)]
