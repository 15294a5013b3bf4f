"""What a run has distilled so far."""

from __future__ import annotations

from dataclasses import replace

from datm_engine.errors import FileError
from datm_engine.files import Unreadable
from datm_engine.hints import command
from datm_engine.runs.checkpoint import Checkpoint, Progress
from datm_engine.runs.directory import Run
from datm_engine.synthetic import SyntheticSet


def progress(run: Run) -> Progress:
    """How far the checkpoint is. Raises FileError if it is damaged."""
    exists = run.checkpoint.exists()
    return Checkpoint.load_progress(run.checkpoint) if exists else Progress()


def read_selected(run: Run) -> SyntheticSet:
    """The selected set, or the start until there is one. Raises FileError if it is damaged; it is
    made again by starting over, which gives the same."""
    try:
        return SyntheticSet.load(run.distilled)
    except Unreadable:
        raise
    except FileError as problem:
        there = [path for path in (run.distilled, run.checkpoint) if path.exists()]
        aside = [command("mv", path, f"{path}.aside") for path in there]
        again = f"{run.resume_command}   # which makes the same again, from iteration 0"
        raise FileError(problem.message, " && ".join([*aside, again])) from None


def read_distilled(run: Run, *, last: bool = False) -> SyntheticSet:
    """The selected set; the last iteration's with `last`, or while nothing has been selected
    yet. Raises FileError if there is nothing to see yet."""
    if not (run.distilled.exists() or run.checkpoint.exists()):
        raise FileError(f"run {run.name} has no images yet", run.resume_command)
    selected = read_selected(run)
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


def set_aside(run: Run) -> None:
    """Before a run starts over: what it had selected, or can no longer be read, stays under another
    name. Raises OSError."""
    if not run.distilled.exists():
        return
    try:
        is_start = SyntheticSet.load(run.distilled).iteration == 0
    except FileError:  # moved, it stays what it is
        is_start = False
    if not is_start:
        run.distilled.replace(run.distilled.with_name("distilled-before.safetensors"))


def distilled_sets(run: Run) -> dict[str, SyntheticSet]:
    """The selected set as "distilled" and, where it is another, the last as "distilled-last"."""
    selected = read_distilled(run)
    last = read_distilled(run, last=True) if run.checkpoint.exists() else selected
    if selected.iteration == last.iteration:
        return {"distilled": selected}
    return {"distilled": selected, "distilled-last": last}
