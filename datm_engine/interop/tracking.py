"""Log a run's events as scalars to TensorBoard or Weights & Biases, by the names of MTT's code.

Accuracies are fractions, as there. Accuracy/… is of test images, Validation_Accuracy/… of held-out
training images. The step is the iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from datm_engine.errors import ConfigError, DatmError, Setting
from datm_engine.hints import command
from datm_engine.optional_imports import require
from datm_engine.runs import events
from datm_engine.runs.directory import Run
from datm_engine.runs.events import Event

TRACKERS = ("tensorboard", "wandb")
MODELS = {
    "convnet": "ConvNet",
    "convnetbn": "ConvNetBN",
    "mlp": "MLP",
    "lenet": "LeNet",
    "alexnet": "AlexNet",
    "vgg11": "VGG11",
    "resnet18": "ResNet18",
    "vit": "ViT",
}


class Tracker(Protocol):
    def read(self, event: Event) -> None: ...


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


class TensorBoard:
    """Writes event files into `folder`. Those there of iteration `since` and later are replaced.
    Raises DatmError without the package."""

    def __init__(self, folder: Path, since: int | None = None) -> None:
        board = require("torch.utils.tensorboard", extra="tensorboard", purpose="TensorBoard")
        self._writer: Any = board.SummaryWriter(str(folder), purge_step=since)

    def read(self, event: Event) -> None:
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, step(event), walltime=event.time or None)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of the project "datm". The run of the same `identity` is continued, if there is one.
    WANDB_MODE=offline keeps it on this machine.

    Raises DatmError without the package, or if the service refuses.
    """

    def __init__(self, name: str, identity: str, folder: Path, config: dict[str, Any]) -> None:
        wandb = require("wandb", extra="wandb", purpose="Weights & Biases")
        given = {"name": name, "id": identity, "dir": str(folder), "config": config}
        try:
            self._run: Any = wandb.init(project="datm", resume="allow", **given)
        except wandb.errors.Error as problem:
            wrong = f"Weights & Biases: {' '.join(str(problem).split())}"
            raise DatmError(wrong, command("wandb", "login")) from None

    def read(self, event: Event) -> None:
        if values := scalars(event):
            self._run.log(values, step=step(event))

    def close(self) -> None:
        self._run.finish()


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
def tracking(names: Sequence[str], run: Run, done: int) -> Iterator[list[Tracker]]:
    """Open the trackers of a run that has done `done` iterations. They are closed at the end."""
    with ExitStack() as opened:
        trackers: list[Tracker] = []
        for kind in names:
            tracker: TensorBoard | WeightsAndBiases
            if kind == "tensorboard":
                tracker = TensorBoard(run.path / "tensorboard", done + 1 if done else None)
            else:
                # Another run may have had this name.
                key = f"{run.path.resolve()}/{run.manifest().created}"
                identity = sha256(key.encode()).hexdigest()[:16]
                config = run.config().model_dump()
                tracker = WeightsAndBiases(run.name, identity, run.path, config)
            opened.callback(tracker.close)
            trackers.append(tracker)
        yield trackers


def export(folder: Path, recorded: Iterable[Event]) -> None:
    """Write events for TensorBoard, in order of time. Raises DatmError without the package."""
    board = TensorBoard(folder)
    try:
        for event in sorted(recorded, key=lambda event: event.time):
            board.read(event)
    finally:
        board.close()
