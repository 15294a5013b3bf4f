"""What a run need not measure, because another run of its study has."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datm_engine.runs.directory import Run
from datm_engine.runs.events import Evaluated
from datm_engine.runs.state import is_reference
from datm_engine.settings.config import Config
from datm_engine.studies.study_plan import OF_IMAGES_ALONE


def shared_rows(run: Run, others: Iterable[Run]) -> list[Evaluated]:
    """Rows of real images that `others` have measured, that `run` asks for and has not, and that
    it would measure the same: of the same images, network, training, precision and seed."""
    config = run.config()
    have = {(row.set, row.network) for row in real_rows(run)}
    rows: dict[tuple[str, str], Evaluated] = {}
    for other in others:
        for row in real_rows(other):
            place = (row.set, row.network)
            wanted = row.set in config.evaluate.against and row.network in config.evaluate.networks
            if wanted and place not in have and place not in rows:
                mine = _made_by(run, config, row.set)
                if mine == _made_by(other, other.config(), row.set):
                    rows[place] = row
    return list(rows.values())


def real_rows(run: Run) -> list[Evaluated]:
    """The rows that are not of its distilled sets."""
    return [row for row in run.state().results if is_reference(row)]


def _made_by(run: Run, config: Config, selection: str) -> dict[str, Any]:
    """All that a row of real images depends on, but for the network's kind."""
    stated, settings = config.model_dump(), config.evaluate
    whole = selection == "full"
    facts = {
        "dataset": stated["dataset"],
        "network": stated["network"],
        "precision": run.facts().get("arithmetic", {}).get("precision"),
        "seed": config.distill.seed,
        "epochs": settings.full_epochs if whole else settings.epochs,
        "repeats": settings.full_repeats if whole else settings.repeats,
        "training": (settings.batch, settings.momentum, settings.weight_decay, settings.real_lr),
        "mirrored": settings.mirrored,
    }
    if not whole:
        facts["ipc"] = config.distill.ipc
    if selection not in OF_IMAGES_ALONE:
        facts["experts"] = stated["experts"]
    return facts
