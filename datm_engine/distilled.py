"""What a run has distilled so far."""

from __future__ import annotations

from dataclasses import replace

from datm_engine.checkpoint import Checkpoint, Progress
from datm_engine.errors import FileError
from datm_engine.runs import Run
from datm_engine.synthetic import SyntheticSet


def progress(run: Run) -> Progress:
    """How far the checkpoint is. Raises FileError if it is damaged."""
    return Checkpoint.load(run.checkpoint).progress if run.checkpoint.exists() else Progress()


def read_distilled(run: Run, *, last: bool = False) -> SyntheticSet:
    """The selected set; the last iteration's with `last`, or while nothing has been selected
    yet. Raises FileError if there is nothing to see yet."""
    if not run.distilled.exists():
        raise FileError(f"run {run.name} has no images yet", run.resuming)
    selected = SyntheticSet.load(run.distilled)
    if not run.checkpoint.exists() or (selected.iteration > 0 and not last):
        return selected
    checkpoint = Checkpoint.load(run.checkpoint)
    last_set = checkpoint.distilled
    return replace(
        selected,
        images=last_set["images"],
        labels=last_set["labels"],
        syn_lr=float(last_set["syn_lr"]),
        iteration=checkpoint.progress.iteration,
    )


def distilled_sets(run: Run) -> dict[str, SyntheticSet]:
    """The selected set as "distilled" and, where it is another, the last as "distilled-last"."""
    selected, last = read_distilled(run), read_distilled(run, last=True)
    if selected.iteration == last.iteration:
        return {"distilled": selected}
    return {"distilled": selected, "distilled-last": last}
