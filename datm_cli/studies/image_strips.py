"""Strips of the same images over the iterations, those of the early window above the late one's."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_cli.gallery.image_history import RunSamples
from datm_cli.text.contact_sheet import Row, save_sheet
from datm_engine.runs.directory import Run
from datm_engine.settings.derived.window_rules import THIRDS
from datm_engine.studies.study_plan import STRIP_SAMPLES, StudyPlan
from datm_engine.summary import read_pictures
from datm_engine.synthetic import SyntheticSet

IMAGES = 3  # at each ipc, each of another class
SHOWN = (THIRDS[0], THIRDS[-1])


@dataclass(frozen=True)
class Strip:
    """An image at some iterations. pictures: uint8 [n, height, width, channels]."""

    ipc: int
    class_name: str
    variant: str
    iterations: tuple[int, ...]
    pictures: NDArray[np.uint8]


def read_strips(plan: StudyPlan, runs_dir: Path) -> list[Strip]:
    """The first image of some classes, at iterations that the runs of both windows have samples of.
    An ipc without pictures of both runs is left out."""
    return [strip for ipc in plan.ipcs for strip in _strips(plan, runs_dir, ipc)]


def save_strips(path: Path, strips: Sequence[Strip]) -> None:
    """Write one sheet, with the iteration under each picture. Raises FileError."""
    rows, first = [], 0
    for strip in strips:
        count = len(strip.pictures)
        name = f"{strip.ipc} per class, {strip.class_name}: {strip.variant}"
        captions = [f"{iteration:,}" if iteration else "start" for iteration in strip.iterations]
        rows.append(Row(name, range(first, first + count), captions))
        first += count
    save_sheet(path, np.concatenate([strip.pictures for strip in strips]), rows)


def _strips(plan: StudyPlan, runs_dir: Path, ipc: int) -> Iterator[Strip]:
    by_variant = {run.variant: Run(runs_dir / run.name) for run in plan.runs if run.ipc == ipc}
    runs = [by_variant[variant] for variant in SHOWN]
    starts = [read_pictures(run.samples / "initial.safetensors") for run in runs]
    if any(start is None for start in starts):
        return
    names = SyntheticSet.load(runs[0].distilled).class_names
    samples = [RunSamples(run) for run in runs]
    for number in _spread(len(names), IMAGES):
        index = number * ipc  # images stand class after class
        images = [{image.iteration: image for image in one.images_of(index)} for one in samples]
        # One of the runs may have been stopped: only iterations that both have are compared.
        shared = sorted(set.intersection(*map(set, images)))
        iterations = [shared[k] for k in _spread(len(shared), STRIP_SAMPLES)]
        for variant, start, by_iteration in zip(SHOWN, starts, images, strict=True):
            assert start is not None
            pictures = [start[index].permute(1, 2, 0).numpy()]  # [height, width, channels]
            pictures += [by_iteration[iteration].read() for iteration in iterations]
            yield Strip(ipc, names[number], variant, (0, *iterations), np.stack(pictures))


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers below `count`, evenly spaced, the last among them."""
    wanted = min(wanted, count)
    return [(k + 1) * count // wanted - 1 for k in range(wanted)]
