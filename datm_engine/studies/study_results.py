"""A study's runs, read and put together: an accuracy for every set, ipc and network."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from datm_engine.runs.directory import Run
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import RunState, is_reference
from datm_engine.settings import published
from datm_engine.settings.published import Published
from datm_engine.studies.study_plan import Plan, PlannedRun

FULL = "full"


@dataclass(frozen=True)
class Cell:
    """Test accuracy of `network` trained on `set`: a variant of the study, or a selection of real
    images. `ipc` is None for all training images; `row` None where nothing is measured yet."""

    set: str
    ipc: int | None
    network: str
    row: Evaluated | None
    published: Published | None


@dataclass(frozen=True)
class Standing:
    """A run of the study. `status`: as `Run.status` says, or "missing"; `message`: why it failed;
    `iterations` it has done, `skipped` of which took no step; `departures`: how its settings differ
    from the published ones; `gradient`: as `distill.gradient` says."""

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
        """Whether most of its iterations took no step: its set is near what it started as."""
        return 2 * self.skipped > self.iterations


@dataclass(frozen=True)
class Study:
    """`variants` were distilled, `selections` are of real images; what is found is said of
    the first network."""

    kind: str
    name: str
    dataset: str
    ipcs: tuple[int, ...]
    variants: tuple[str, ...]
    selections: tuple[str, ...]
    networks: tuple[str, ...]
    cells: tuple[Cell, ...]
    runs: tuple[Standing, ...]

    @property
    def is_done(self) -> bool:
        return all(run.status == "done" for run in self.runs)

    @property
    def is_published(self) -> bool:
        """Whether a published figure stands beside any."""
        return any(cell.published for cell in self.cells)

    @property
    def departures(self) -> tuple[str, ...]:
        """What all runs have in common beside which a published figure stands."""
        every = self._departures
        return tuple(one for one in every[0] if all(one in other for other in every))

    @property
    def departs_further(self) -> bool:
        """Whether some of them differ in more than that."""
        return any(set(one) > set(self.departures) for one in self._departures)

    @property
    def _departures(self) -> list[tuple[str, ...]]:
        stands = {
            (cell.set, cell.ipc) for cell in self.cells if cell.published and cell.ipc is not None
        }
        # Of real images or of another network: of the runs at that ipc.
        beside = [run for run in self.runs if (run.variant, run.ipc) in stands]
        beside = beside or [run for run in self.runs if run.ipc in {ipc for _, ipc in stands}]
        return [run.departures for run in beside] or [()]

    def cell(self, name: str, ipc: int | None, network: str) -> Cell | None:
        """None if there is none, as for a set that was not asked for."""
        wanted = (name, None if name == FULL else ipc, network)
        return next((c for c in self.cells if (c.set, c.ipc, c.network) == wanted), None)

    def is_idle(self, variant: str, ipc: int) -> bool:
        return any(run.is_idle for run in self.runs if (run.variant, run.ipc) == (variant, ipc))

    def row(self, name: str, ipc: int | None, network: str) -> Evaluated | None:
        found = self.cell(name, ipc, network)
        return found.row if found else None

    def as_json(self) -> dict[str, Any]:
        return {
            "study": self.kind,
            "name": self.name,
            "dataset": self.dataset,
            "status": "done" if self.is_done else "incomplete",
            "ipc": list(self.ipcs),
            "variants": list(self.variants),
            "selections": list(self.selections),
            "networks": list(self.networks),
            "cells": [_cell_json(cell) for cell in self.cells],
            "runs": [asdict(run) for run in self.runs],
        }


def read_study(plan: Plan, runs_dir: Path) -> Study:
    """What the plan's runs have stated so far. Raises RunError for a damaged one."""
    known = [
        (planned, Run(runs_dir / planned.name))
        for planned in plan.runs
        if (runs_dir / planned.name / "run.json").is_file()
    ]
    rows = [row for pair in known for row in _rows(*pair)]
    measured: dict[tuple[str, int | None, str], Evaluated] = {}
    for name, ipc, row in rows:
        measured.setdefault((name, ipc, row.network), row)
    places = dict.fromkeys(
        (name, None if name == FULL else ipc)
        for name in (*plan.variants, *plan.selections)
        for ipc in plan.ipcs
    )
    cells = tuple(
        Cell(
            name,
            ipc,
            network,
            measured.get((name, ipc, network)),
            published.published(plan.dataset, ipc or plan.ipcs[0], name, network),
        )
        for network in plan.networks
        for name, ipc in places
    )
    opened = {planned.name: run for planned, run in known}
    standings = tuple(_standing(planned, opened.get(planned.name)) for planned in plan.runs)
    return Study(
        kind=plan.kind,
        name=plan.name,
        dataset=plan.dataset,
        ipcs=plan.ipcs,
        variants=plan.variants,
        selections=plan.selections,
        networks=plan.networks,
        cells=cells,
        runs=standings,
    )


def _rows(planned: PlannedRun, run: Run) -> list[tuple[str, int | None, Evaluated]]:
    """The run's accuracies, each with the name it has in the study: the distilled set's is that
    of its variant."""
    found: list[tuple[str, int | None, Evaluated]] = []
    for row in run.state().results:
        if row.set == "distilled":
            found.append((planned.variant, planned.ipc, row))
        elif is_reference(row):
            found.append((row.set, None if row.set == FULL else planned.ipc, row))
    return found


def _standing(planned: PlannedRun, run: Run | None) -> Standing:
    state = RunState() if run is None else run.state()
    status = "missing" if run is None else run.process_status() or state.status
    return Standing(
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


def _cell_json(cell: Cell) -> dict[str, Any]:
    """Accuracies in percent, None where nothing is measured."""
    row = cell.row
    return {
        "set": cell.set,
        "ipc": cell.ipc,
        "network": cell.network,
        "accuracy_mean": None if row is None else round(row.accuracy_mean, 4),
        "accuracy_std": None if row is None else round(row.accuracy_std, 4),
        "repeats": 0 if row is None else row.repeats,
        "images": 0 if row is None else row.images,
        "published": asdict(cell.published) if cell.published else None,
    }
