"""The events of a run: frozen models of scalars.

Stages emit them, `event_log.py` records them, `state.py` folds them into the state that screens,
logs and reports show. Paths of samples and checkpoints are relative to the run directory.
Percentages are 0 to 100, times seconds, sizes bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from datm_engine.formatting import mean_and_deviation


class Event(BaseModel):
    """`time`: seconds since the epoch, set when the event is recorded.

    Raises ValueError for a field that is unknown, of another type or not finite.
    """

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)

    time: float = 0.0


# What a stage calls with each event, as it happens.
Emit = Callable[[Event], None]


def ignore(event: Event) -> None:
    """An `emit` that drops the event."""


class RunStarted(Event):
    """`resumed_at`: iterations that were done before."""

    run: str
    command: str
    device: str
    version: str
    seed: int
    resumed_at: int = 0


class Noted(Event):
    """A remark for the user: a choice made for them, a cost, a fallback."""

    text: str


class WaitBegan(Event):
    """Something begins that reports no progress until it is done. The next event ends it.

    what: in words, with how long it takes where that is known.
    """

    what: str


class DatasetProgress(Event):
    """Images are decoded or prepared: `done` of `total`."""

    what: str
    done: int
    total: int


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


class ExpertsPlanned(Event):
    """What training experts will take. `missing` of `total` are not on disk yet."""

    folder: str
    total: int
    missing: int
    epochs: int
    epochs_needed: int
    seconds: float
    size: int


class DifficultyProgress(Event):
    """Networks are trained to score how difficult images are, before the experts: `done` of `total`
    epochs."""

    done: int
    total: int


class ExpertEpoch(Event):
    expert: int
    epoch: int
    epochs: int
    loss: float
    accuracy: float


class ExpertTrained(Event):
    """`seconds`: of training the expert, or of waiting for another process that trained it."""

    expert: int
    total: int
    path: str
    seconds: float
    train_accuracy: float
    validation_accuracy: float | None


class MeasurementProgress(Event):
    """Experts are measured after each epoch: `done` of `total` passes over the images."""

    done: int
    total: int


class SettingDerived(Event):
    """A setting that was derived, with the reason. `key` has its table: distill.max_start_epoch."""

    key: str
    value: int | float
    reason: str


class Initialized(Event):
    """The synthetic set was initialized: where its images and labels come from."""

    images: int
    image_source: str
    label_source: str


class ClassesFilledUp(Event):
    """In `classes` of `of` classes fewer than `wanted` real images qualified as initial images; the
    rest are random images of the class. `names`: "cat 3, dog 0, …", the first few of these classes,
    with how many qualified."""

    classes: int
    of: int
    wanted: int
    names: str


class SkipReason(StrEnum):
    """Why an iteration takes no step: the value that is stored, and a sentence."""

    sentence: str

    LOSS_NOT_FINITE = "loss not finite", "the matching loss is not finite, the student diverged"
    LOSS_ABOVE_THRESHOLD = "loss above threshold", "the matching loss is above the threshold"
    GRADIENT_NOT_FINITE = "gradient not finite", "the gradient is not finite"
    IMAGES_INFINITE = "images infinite", "the step would make the images infinite"
    LABELS_INFINITE = "labels infinite", "the step would make the labels infinite"
    RATE_INFINITE = "rate infinite", "the step would make the learning rate infinite"
    RATE_NEGATIVE = "rate negative", "the step would make the learning rate zero or negative"

    def __new__(cls, value: str, sentence: str) -> SkipReason:
        reason = str.__new__(cls, value)
        reason._value_, reason.sentence = value, sentence
        return reason


class Matched(Event):
    """One iteration of distillation.

    loss: the normalised matching loss. start_epoch: t, drawn from [T⁻, T) with T⁻ = `lower` and
    T = `upper`; final_upper is T⁺. target_epoch: t + M. skip_reason: None if a step was taken.
    loss and syn_lr are None if they are not finite. memory: the peak of the process so far, on the
    GPU if there is one.
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
    skip_reason: SkipReason | None = Field(strict=False)  # a string, if it is read from a log
    skipped: int
    seconds: float
    memory: int = 0


class SampleSaved(Event):
    """Pictures of some images of every class at `iteration`."""

    iteration: int
    path: str


class CheckpointSaved(Event):
    iteration: int
    path: str


class CandidateScored(Event):
    """Networks were trained on the set of `iteration` and tested on `part`: "validation", or "test"
    if the published rule of selection is set."""

    iteration: int
    part: str
    accuracy: float
    images: int
    best: bool


class SelectionProgress(Event):
    """Real images are chosen by scores of experts: `done` of `total` passes over the training
    images, for row `row` of `rows`."""

    set: str
    done: int
    total: int
    row: int = 0
    rows: int = 1


class EvaluationProgress(Event):
    """A network is trained for row `row` of `rows`."""

    set: str
    network: str
    repeat: int
    repeats: int
    epoch: int
    epochs: int
    row: int = 0
    rows: int = 1


class Evaluated(Event):
    """Test accuracy of `network` trained on `set`: mean and standard deviation over repeats.
    validation_mean: of the same networks on held-out training images, if there are any."""

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


class EvaluationChanged(Event):
    """The settings of the evaluation changed: earlier results no longer count."""


class RunEnded(Event):
    """`status`: "done", "stopped" or "failed", then with a `message` and a `hint`."""

    status: str
    iteration: int
    message: str = ""
    hint: str = ""


class TrialBegan(Event):
    """A trial of a tune started. draw: its point in the search space, a JSON object. changes: its
    settings that differ from those of the first trial, in words."""

    trial: int
    run: str
    draw: str
    changes: str


class TrialScored(Event):
    """A candidate of a trial was scored on held-out training images."""

    trial: int
    iteration: int
    iterations: int
    accuracy: float


class TrialEnded(Event):
    """`status`: "complete", "pruned", "stopped" or "failed", then with a `message`."""

    trial: int
    status: str
    message: str = ""


KINDS: dict[str, type[Event]] = {kind.__name__: kind for kind in Event.__subclasses__()}
