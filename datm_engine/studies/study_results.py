"""Read the runs of a study: an accuracy for each set, ipc and network, and the state of each run.

Real images that one run of a study has evaluated need not be evaluated in another, if it would do
the same (`shared_rows`).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datm_engine.runs.directory import Run
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import RunState, is_reference
from datm_engine.settings import published
from datm_engine.settings.published import Published
from datm_engine.studies.study_plan import WITHOUT_EXPERTS, StudyPlan

FULL = "full"


@dataclass(frozen=True)
class AccuracyCell:
    """Test accuracy of `network` trained on `set`, a variant of the study or a selection of real
    images. ipc: None for all training images. row: None if it is not measured yet."""

    set: str
    ipc: int | None
    network: str
    row: Evaluated | None
    published: Published | None

    def as_json(self) -> dict[str, Any]:
        """Accuracies are in percent."""
        row = self.row
        return {
            "set": self.set,
            "ipc": self.ipc,
            "network": self.network,
            "accuracy_mean": round(row.accuracy_mean, 4) if row else None,
            "accuracy_std": round(row.accuracy_std, 4) if row else None,
            "repeats": row.repeats if row else 0,
            "images": row.images if row else 0,
            "published": asdict(self.published) if self.published else None,
        }


@dataclass(frozen=True)
class StudyRun:
    """The state of a run of the study.

    status: as of `Run.status`, or "missing". message: why it failed. skipped: iterations without a
    step. departures: how its settings differ from the published ones. gradient:
    `distill.gradient`.
    """

    run: str
    ipc: int
    variant: str
    window: str
    status: str
    message: str
    iterations: int
    skipped: int
    departures: tuple[str, ...]
    gradient: str

    @property
    def is_idle(self) -> bool:
        """Whether most iterations took no step, so that the set is close to its initialization."""
        return 2 * self.skipped > self.iterations


@dataclass(frozen=True)
class StudyResult:
    """What the runs of a study show so far: a cell for each set, ipc and network of the plan."""

    plan: StudyPlan
    cells: tuple[AccuracyCell, ...]
    runs: tuple[StudyRun, ...]

    @property
    def is_published(self) -> bool:
        """Whether any cell has a published accuracy."""
        return any(cell.published for cell in self.cells)

    def departures(self) -> tuple[list[str], bool]:
        """How all runs with a published accuracy differ from the published settings; and whether
        some of them differ in more than that."""
        # ipc None: the published accuracy of all images does not depend on a run's settings.
        cells = [cell for cell in self.cells if cell.published and cell.ipc is not None]
        variants = {(cell.set, cell.ipc) for cell in cells}
        runs = [run for run in self.runs if (run.variant, run.ipc) in variants]
        if not runs:  # only real images or other networks: the runs of their ipc
            ipcs = {cell.ipc for cell in cells}
            runs = [run for run in self.runs if run.ipc in ipcs]
        each = [run.departures for run in runs] or [()]
        # In the order of the first run.
        shared = [text for text in each[0] if all(text in texts for texts in each)]
        return shared, any(set(texts) > set(shared) for texts in each)

    def cell(self, name: str, ipc: int | None, network: str) -> AccuracyCell | None:
        """None for a set or a network that the study does not have."""
        key = (name, None if name == FULL else ipc, network)
        return next((c for c in self.cells if (c.set, c.ipc, c.network) == key), None)

    def row(self, name: str, ipc: int | None, network: str) -> Evaluated | None:
        cell = self.cell(name, ipc, network)
        return cell.row if cell else None

    def variant_rows(self, ipc: int, network: str) -> dict[str, Evaluated]:
        """The measured variants at this ipc, in their order."""
        rows = {name: self.row(name, ipc, network) for name in self.plan.variants}
        return {name: row for name, row in rows.items() if row}

    def run(self, variant: str, ipc: int) -> StudyRun | None:
        runs = (run for run in self.runs if (run.variant, run.ipc) == (variant, ipc))
        return next(runs, None)

    def as_json(self) -> dict[str, Any]:
        is_done = all(run.status == "done" for run in self.runs)
        return {
            "study": self.plan.kind,
            "name": self.plan.name,
            "dataset": self.plan.dataset,
            "status": "done" if is_done else "incomplete",
            "ipc": list(self.plan.ipcs),
            "variants": list(self.plan.variants),
            "selections": list(self.plan.selections),
            "networks": list(self.plan.networks),
            "cells": [cell.as_json() for cell in self.cells],
            "runs": [asdict(run) for run in self.runs],
        }


def read_study(plan: StudyPlan, runs_dir: Path) -> StudyResult:
    """Read the result of a study, finished or not. Raises RunError for a damaged run."""
    rows: dict[tuple[str, int | None, str], Evaluated] = {}
    runs = []
    for planned in plan.runs:
        run = Run(runs_dir / planned.name)
        is_started = run.manifest_file.is_file()
        state = run.state() if is_started else RunState()
        status = run.status() if is_started else "missing"
        runs.append(
            StudyRun(
                run=planned.name,
                ipc=planned.ipc,
                variant=planned.variant,
                window=planned.window,
                status=status,
                message=state.ended.message if state.ended and status == "failed" else "",
                iterations=state.iteration,
                skipped=state.skipped,
                departures=tuple(published.departures(planned.config, planned.variant)),
                gradient=planned.config.distill.gradient,
            )
        )
        for row in state.results:
            if is_reference(row):
                # Several runs may have the same row: the first in the plan counts.
                ipc = None if row.set == FULL else planned.ipc
                rows.setdefault((row.set, ipc, row.network), row)
            elif row.set == "distilled":
                rows[planned.variant, planned.ipc, row.network] = row
    cells = []
    for network in plan.networks:
        for name in (*plan.variants, *plan.selections):
            # Training on all images does not depend on ipc: it has one cell for all of them.
            for ipc in (None,) if name == FULL else plan.ipcs:
                known = published.published(plan.dataset, ipc or plan.ipcs[0], name, network)
                measured = rows.get((name, ipc, network))
                cells.append(AccuracyCell(name, ipc, network, measured, known))
    return StudyResult(plan, tuple(cells), tuple(runs))


def shared_rows(run: Run, others: Iterable[Run]) -> list[Evaluated]:
    """Rows of real images that `run` needs and that `others` have measured.

    A row is shared if `run` would measure the same: with the same images, network, training,
    precision and seed.
    """
    needed = run.config().evaluate
    # Never measured twice: not what `run` has, and not what an earlier one of `others` gives.
    missing = {(name, network) for name in needed.against for network in needed.networks}
    missing -= {(row.set, row.network) for row in run.state().results}
    rows = []
    for other in others:
        for row in filter(is_reference, other.state().results):
            key = (row.set, row.network)
            if key in missing and _dependencies(other, row.set) == _dependencies(run, row.set):
                missing.remove(key)
                rows.append(row)
    return rows


def _dependencies(run: Run, selection: str) -> dict[str, Any]:
    """What a row of real images depends on, without the architecture."""
    config = run.config()
    settings, is_full = config.evaluate, selection == FULL
    return {
        "dataset": config.dataset,
        "network": config.network,
        "precision": run.manifest().arithmetic.precision,
        "seed": config.distill.seed,
        "epochs": settings.full_epochs if is_full else settings.epochs,
        "repeats": settings.full_repeats if is_full else settings.repeats,
        "training": (settings.batch, settings.momentum, settings.weight_decay, settings.real_lr),
        "mirrored": settings.mirrored,
        "ipc": None if is_full else config.distill.ipc,  # the size of the selection
        "experts": None if selection in WITHOUT_EXPERTS else config.experts,
    }
