"""Log a run's events as scalars to TensorBoard or Weights & Biases, by the names of MTT's code.

Accuracies are fractions, as there. Accuracy/… is of test images, Validation_Accuracy/… of held-out
training images. The step is the iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from hashlib import sha256
from pathlib import Path

from datm_engine.errors import ConfigError, DatmError, Setting
from datm_engine.hints import command
from datm_engine.optional_imports import require
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Emit, Event

TRACKERS = ("tensorboard", "wandb")
NAMES = ("ConvNet", "ConvNetBN", "MLP", "LeNet", "AlexNet", "VGG11", "ResNet18", "ViT")
MODELS = {name.lower(): name for name in NAMES}


def scalars(event: Event) -> dict[str, float]:
    """The scalars of an event, by name. Most kinds have none."""
    match event:
        case events.Matched():
            # Loss and rate are None if they are not finite.
            named = {
                "Grand_Loss": event.loss,
                "Start_Epoch": float(event.start_epoch),
                "Synthetic_LR": event.syn_lr,
            }
            return {name: value for name, value in named.items() if value is not None}
        case events.CandidateScored():
            kind = "Accuracy" if event.part == "test" else "Validation_Accuracy"
            return {f"{kind}/ConvNet": event.accuracy / 100}
        case events.Evaluated():
            model = MODELS.get(event.network, event.network)
            of = "" if event.set == "distilled" else f"/{event.set}"
            return {
                f"Accuracy/{model}{of}": event.accuracy_mean / 100,
                f"Std/{model}{of}": event.accuracy_std / 100,
            }
    return {}


def step(event: Event) -> int:
    """The iteration of an event. 0 for results of real images, which have none."""
    return int(getattr(event, "iteration", None) or 0)


@contextmanager
def tensorboard(folder: Path, since: int | None = None) -> Iterator[Emit]:
    """Yield a function that logs an event to files in `folder`. Scalars there of iteration `since`
    and later are replaced. Raises DatmError without the package."""
    board = require("torch.utils.tensorboard", extra="tensorboard", purpose="TensorBoard")
    with closing(board.SummaryWriter(str(folder), purge_step=since)) as writer:

        def log(event: Event) -> None:
            for name, value in scalars(event).items():
                writer.add_scalar(name, value, step(event), walltime=event.time or None)

        yield log


@contextmanager
def weights_and_biases(run: Run) -> Iterator[Emit]:
    """Yield a function that logs an event to the project "datm". A run that is resumed continues
    its run there. WANDB_MODE=offline keeps it on this machine.

    Raises DatmError without the package, or if the service refuses.
    """
    wandb = require("wandb", extra="wandb", purpose="Weights & Biases")
    # An earlier run may have had this name.
    key = f"{run.path.resolve()}/{run.manifest().created}"
    try:
        logged = wandb.init(
            project="datm",
            name=run.name,
            id=sha256(key.encode()).hexdigest()[:16],
            resume="allow",
            dir=str(run.path),
            config=run.config().model_dump(),
        )
    except wandb.errors.Error as problem:
        wrong = f"Weights & Biases: {' '.join(str(problem).split())}"
        raise DatmError(wrong, command("wandb", "login")) from None

    def log(event: Event) -> None:
        if values := scalars(event):
            logged.log(values, step=step(event))

    try:
        yield log
    finally:
        logged.finish()


def parse(stated: str | None) -> tuple[str, ...]:
    """The names in a list with commas. Raises ConfigError for an unknown one, DatmError for a
    missing package."""
    names = tuple(name.strip() for name in (stated or "").split(",") if name.strip())
    for name in names:
        if name not in TRACKERS:
            wrong = f"log {name}: not one of {', '.join(TRACKERS)}"
            raise ConfigError(wrong, Setting("log", ",".join(TRACKERS)))
        require(name, extra=name, purpose=f"log {name}")
    return names


@contextmanager
def tracking(names: Sequence[str], run: Run, done: int) -> Iterator[Emit]:
    """Yield a function that logs an event to the trackers of a run that has done `done`
    iterations."""
    with ExitStack() as opened:
        since = done + 1 if done else None
        logs = [
            opened.enter_context(
                tensorboard(run.path / "tensorboard", since)
                if name == "tensorboard"
                else weights_and_biases(run)
            )
            for name in names
        ]

        def track(event: Event) -> None:
            for log in logs:
                log(event)

        yield track


def export(folder: Path, recorded: Iterable[Event]) -> None:
    """Write events for TensorBoard, in order of time. Raises DatmError without the package."""
    with tensorboard(folder) as log:
        for event in sorted(recorded, key=lambda event: event.time):
            log(event)
