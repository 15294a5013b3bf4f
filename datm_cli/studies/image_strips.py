"""Strips of the same images over the iterations, those of the early window above the late one's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from datm_cli.screen.sample_files import RunSamples
from datm_cli.text.contact_sheet import Row, save_sheet
from datm_engine.runs.directory import Run
from datm_engine.settings.derived.window_rules import THIRDS
from datm_engine.studies.study_plan import STRIP_SAMPLES, StudyPlan
from datm_engine.summary import read_pictures
from datm_engine.synthetic import SyntheticSet

IMAGES = 3  # at each ipc, each of another class
SHOWN = (THIRDS[0], THIRDS[-1])


def save_strips(path: Path, plan: StudyPlan, runs_dir: Path) -> bool:
    """Write the first image of some classes, at the iterations that both windows' runs have samples
    of, as one sheet with the iteration under each picture.

    An ipc without pictures of both runs is left out. Returns whether there was any. Raises
    FileError.
    """
    rows: list[Row] = []
    pictures: list[NDArray[np.uint8]] = []  # [height, width, channels] each
    for ipc in plan.ipcs:
        by_variant = {run.variant: Run(runs_dir / run.name) for run in plan.runs if run.ipc == ipc}
        runs = [by_variant[variant] for variant in SHOWN]
        files = (read_pictures(run.samples / "initial.safetensors") for run in runs)
        starts = [start for start in files if start is not None]
        if len(starts) < len(runs):
            continue
        names = SyntheticSet.load(runs[0].distilled).class_names
        samples = [RunSamples(run) for run in runs]
        for number in _spread(len(names), IMAGES):
            index = number * ipc  # images are sorted by class
            images = [{image.iteration: image for image in one.images_of(index)} for one in samples]
            # One of the runs may have been stopped: only iterations that both have are compared.
            shared = sorted(set.intersection(*map(set, images)))
            iterations = [shared[k] for k in _spread(len(shared), STRIP_SAMPLES)]
            captions = ["start", *(f"{iteration:,}" for iteration in iterations)]
            for variant, start, by_iteration in zip(SHOWN, starts, images, strict=True):
                name = f"{ipc} per class, {names[number]}: {variant}"
                columns = range(len(pictures), len(pictures) + len(captions))
                rows.append(Row(name, columns, captions))
                pictures.append(start[index].permute(1, 2, 0).numpy())
                pictures += [by_iteration[iteration].read() for iteration in iterations]
    if rows:
        save_sheet(path, np.stack(pictures), rows)
    return bool(rows)


def _spread(count: int, wanted: int) -> list[int]:
    """`wanted` of the numbers below `count`, evenly spaced, the last among them."""
    wanted = min(wanted, count)
    return [(k + 1) * count // wanted - 1 for k in range(wanted)]
