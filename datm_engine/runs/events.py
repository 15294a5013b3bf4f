"""Every fact a run can state, as frozen dataclasses of scalars; `lines.py` has them as JSON.

Stages yield these; a run directory records them; every screen, log and report reads them.
Paths of samples and checkpoints are relative to the run directory. Percentages are 0–100, times
seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from datm_engine.formatting import mean_and_deviation


@dataclass(frozen=True, kw_only=True)
class Event:
    """A fact. `time` is seconds since the epoch, filled in by whoever records it."""

    time: float = 0.0


# What a stage calls with each event, as it happens.
Emit = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunStarted(Event):
    """`resumed_at`: iterations done before, from which the run goes on."""

    run: str
    command: str
    device: str
    version: str
    seed: int
    resumed_at: int = 0


@dataclass(frozen=True, kw_only=True)
class Noted(Event):
    """Something a person should know: a choice made for them, a cost, a fallback."""

    text: str


@dataclass(frozen=True, kw_only=True)
class DatasetProgress(Event):
    """Decoding or preparing images: `done` of `total`."""

    what: str
    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class DatasetReady(Event):
    name: str
    classes: int
    train: int
    validation: int
    test: int
    channels: int
    height: int
    width: int
    preprocessing: str


@dataclass(frozen=True, kw_only=True)
class ExpertsPlanned(Event):
    """What expert training will take; `missing` of `total` are not on disk yet."""

    folder: str
    total: int
    missing: int
    epochs: int
    epochs_needed: int
    seconds: float
    size: int


@dataclass(frozen=True, kw_only=True)
class DifficultyProgress(Event):
    """Networks being trained to tell easy images from hard ones, before the experts: `done` of
    `total` epochs."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class ExpertEpoch(Event):
    expert: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class ExpertTrained(Event):
    """`seconds`: of training it, or of waiting for another process that trained it."""

    expert: int
    total: int
    path: str
    seconds: float
    train_accuracy: float
    validation_accuracy: float | None


@dataclass(frozen=True, kw_only=True)
class CourseProgress(Event):
    """What experts know after each epoch being measured: `done` of `total` passes, each of the
    images through one snapshot."""

    done: int
    total: int


@dataclass(frozen=True, kw_only=True)
class SettingDerived(Event):
    """A value of the configuration that no preset states, and why it is that; `key` with its
    table: distill.max_start_epoch."""

    key: str
    value: float
    reason: str


@dataclass(frozen=True, kw_only=True)
class Initialized(Event):
    """The synthetic set as it starts: where images and labels came from."""

    images: int
    image_source: str
    label_source: str


@dataclass(frozen=True, kw_only=True)
class ClassesFilledUp(Event):
    """In some classes fewer than `wanted` real images qualified; the rest are random images of
    the class. `names` lists these classes with how many did: "cat 3, dog 0"."""

    classes: int
    of: int
    wanted: int
    names: str


@dataclass(frozen=True, kw_only=True)
class Matched(Event):
    """One iteration of distillation.

    `loss` is the normalised matching loss; `start_epoch` t was drawn from [T⁻, T) with
    T = `upper`; the target is epoch t + M. `refused` says why no step was taken, or is empty.
    `loss` and `syn_lr` are None when they are not finite. `memory`: the most that the process
    has taken so far, of the GPU where there is one. `steps`: of the student, to where it ends; 0 in
    runs from before this was told.
    """

    iteration: int
    iterations: int
    loss: float | None
    expert: int
    start_epoch: int
    target_epoch: int
    lower: int
    upper: int
    final_upper: int
    syn_lr: float | None
    refused: str
    skipped: int
    seconds: float
    memory: int = 0
    steps: int = 0


@dataclass(frozen=True, kw_only=True)
class SampleSaved(Event):
    """Pictures of some images of every class, as they were at `iteration`."""

    iteration: int
    path: str


@dataclass(frozen=True, kw_only=True)
class CheckpointSaved(Event):
    iteration: int
    path: str


@dataclass(frozen=True, kw_only=True)
class CandidateScored(Event):
    """The set as it stood at `iteration`, scored by networks trained on it.

    `part` is "validation" unless the published rule ("test") was asked for by name.
    """

    iteration: int
    part: str
    accuracy: float
    images: int
    best: bool


@dataclass(frozen=True, kw_only=True)
class SelectionProgress(Event):
    """Real images being chosen by what experts make of them: `done` of `total` passes over the
    training images, for row number `row` of `rows` that are being made."""

    set: str
    done: int
    total: int
    row: int = 0
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class EvaluationProgress(Event):
    """A network in training, for row number `row` of `rows` that are being made."""

    set: str
    network: str
    repeat: int
    repeats: int
    epoch: int
    epochs: int
    row: int = 0
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Evaluated(Event):
    """Test accuracy of `network` trained on `set`: mean and standard deviation over repeats;
    `validation_mean`: of the same networks on the held-out training images, if there are any."""

    set: str
    network: str
    accuracy_mean: float
    accuracy_std: float
    repeats: int
    images: int
    iteration: int | None = None
    seconds: float = 0.0
    validation_mean: float | None = None

    def percent(self, digits: int = 2) -> str:
        """ "88.93 ± 0.51"; a single network has no deviation."""
        deviation = self.accuracy_std if self.repeats > 1 else None
        return mean_and_deviation(self.accuracy_mean, deviation, digits)


@dataclass(frozen=True, kw_only=True)
class EvaluationChanged(Event):
    """What the result is to be compared with is another from here on: earlier rows no longer
    count."""


@dataclass(frozen=True, kw_only=True)
class RunEnded(Event):
    """`status` is "done", "stopped" or "failed"; `message` and `hint` say why if it failed."""

    status: str
    iteration: int
    message: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class TrialBegan(Event):
    """Of a tune, whose trials are runs of their own. `draw`: where in the search space, a JSON
    object; `changes`: the settings that are not the first trial's, in words."""

    trial: int
    run: str
    draw: str
    changes: str


@dataclass(frozen=True, kw_only=True)
class TrialScored(Event):
    """A trial's candidate on held-out training images."""

    trial: int
    iteration: int
    iterations: int
    accuracy: float


@dataclass(frozen=True, kw_only=True)
class TrialEnded(Event):
    """`status` is "complete", "pruned", "stopped" or "failed"; `message` says why if it failed."""

    trial: int
    status: str
    message: str = ""


KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
