"""Whether imported experts classify the images of the dataset that they are taken to be of.

Nothing in a buffer states the order of classes or the whitening; with another one, experts classify
at chance, and matching them learns noise.
"""

from __future__ import annotations

from pathlib import Path

import torch

from datm_engine.compute.out_of_memory import wanted_for
from datm_engine.compute.runtime import Runtime, generator
from datm_engine.data.prepared import prepare
from datm_engine.errors import DatmError
from datm_engine.experts.train import expert_network
from datm_engine.experts.trajectories import ExpertSet
from datm_engine.hints import HELP
from datm_engine.runs.events import Emit, Noted
from datm_engine.settings.config import Config

MEASURED = 1000  # training images


def check_accuracy(
    experts: ExpertSet, config: Config, data_dir: Path, runtime: Runtime, *, emit: Emit
) -> float | None:
    """The accuracy of the first expert's last snapshot on `MEASURED` training images, in percent,
    with a note if it is low; None, with a note, where the dataset cannot be loaded."""
    try:
        with wanted_for(f"the images of {config.dataset.name}", HELP):
            data = prepare(config.dataset, data_dir, runtime, emit=emit)
    except DatmError as problem:
        emit(Noted(text=f"the experts' accuracy is not checked: {problem.message}"))
        return None
    draws = generator(config.dataset.seed, "images to check experts on")
    chosen = torch.randperm(len(data.train), generator=draws)[:MEASURED]
    network = expert_network(config, data, seed=0, runtime=runtime)
    theta = runtime.place(experts.snapshot(0, experts.epochs))
    accuracy = network.accuracy(theta, data.train.images[chosen], data.train.labels[chosen])
    if accuracy < lowest_plausible(data.classes):
        text = (
            f"expert 0 classifies {accuracy:.1f}% of {len(chosen):,} training images of "
            f"{data.name} correctly after its last epoch, and chance is {100 / data.classes:.1f}%: "
            "its buffer may be of another dataset, another order of classes or another whitening "
            "(--dataset, --set dataset.preprocessing=zca or normalize)"
        )
        emit(Noted(text=text))
    return accuracy


def lowest_plausible(classes: int) -> float:
    """Twice the accuracy of chance, in percent; halfway to 100 where that is less, which it is for
    two classes."""
    chance = 100 / classes
    return min(2 * chance, (chance + 100) / 2)
