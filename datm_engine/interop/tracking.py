"""A run's events as the scalars that users of MTT know, in TensorBoard or Weights & Biases.

Accuracies are fractions, as in their codes; Accuracy/… is on test images, Validation_Accuracy/… on
held-out training images. The step is the iteration.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, Protocol

from datm_engine.errors import ConfigError, DatmError
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
    """What an event says, by the names people know; nothing for most kinds."""
    match event:
        case events.Matched():
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
    """The iteration it belongs to; 0 for real images, which belong to none."""
    return int(getattr(event, "iteration", None) or 0)


class TensorBoard:
    """Writes event files into `folder`; what is there from iteration `since` on no longer counts.

    Raises DatmError without the package.
    """

    def __init__(self, folder: Path, since: int | None = None) -> None:
        board = require("torch.utils.tensorboard", extra="tensorboard", purpose="TensorBoard")
        self._writer: Any = board.SummaryWriter(str(folder), purge_step=since)

    def read(self, event: Event) -> None:
        for name, value in scalars(event).items():
            self._writer.add_scalar(name, value, step(event), walltime=event.time or None)

    def close(self) -> None:
        self._writer.close()


class WeightsAndBiases:
    """A run of that service, in its project datm, that goes on where one of this `identity` is
    there; WANDB_MODE=offline keeps it on this machine.

    Raises DatmError without the package, or where the service refuses.
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
        if told := scalars(event):
            self._run.log(told, step=step(event))

    def close(self) -> None:
        self._run.finish()


def parse(stated: str | None) -> tuple[str, ...]:
    """The trackers of `--log`, each there to be used. Raises ConfigError, DatmError."""
    names = tuple(name.strip() for name in (stated or "").split(",") if name.strip())
    for name in names:
        if name not in TRACKERS:
            wrong = f"--log {name}: not one of {', '.join(TRACKERS)}"
            raise ConfigError(wrong, f"--log {','.join(TRACKERS)}")
        require(name, extra=name, purpose=f"--log {name}")
    return names


@contextmanager
def tracking(names: Sequence[str], run: Run, done: int) -> Iterator[list[Tracker]]:
    """Trackers of a run that goes on after `done` iterations, closed at the end."""
    with ExitStack() as opened:
        trackers: list[Tracker] = []
        for kind in names:
            tracker: TensorBoard | WeightsAndBiases
            if kind == "tensorboard":
                tracker = TensorBoard(run.path / "tensorboard", done + 1 if done else None)
            else:
                began = sha256(f"{run.path.resolve()}/{run.manifest().created}".encode())
                identity, config = began.hexdigest()[:16], run.config().model_dump()
                tracker = WeightsAndBiases(run.name, identity, run.path, config)
            opened.callback(tracker.close)
            trackers.append(tracker)
        yield trackers


def export(folder: Path, told: Iterable[Event]) -> None:
    """Write events as TensorBoard's, by their time. Raises DatmError without the package."""
    board = TensorBoard(folder)
    try:
        for event in sorted(told, key=lambda event: event.time):
            board.read(event)
    finally:
        board.close()
