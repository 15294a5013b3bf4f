"""What experts know after every epoch, as numbers that a run stores. Needs no torch."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, Strict
from pydantic.dataclasses import dataclass

# Ints are accepted as floats, but neither bools nor text.
Number = Annotated[float, Strict(), Field(gt=-(2**63), lt=2**63, allow_inf_nan=False)]
Numbers = tuple[Number, ...]
Count = Annotated[int, Strict(), Field(gt=0, lt=2**63)]


@dataclass(frozen=True)
class LearningCurves:
    """What experts know after every epoch 0 … E, and how far they move: means over the experts
    that were measured.

    Losses and accuracies are [E + 1], accuracies in percent. Easy and hard are the first and the
    last third of the training images in the order that `by` names.
    """

    loss: Numbers  # cross-entropy of the training images, without augmentation
    accuracy: Numbers  # of the training images
    held_out: Numbers | None  # of the held-out images; None where there are none
    easy: Numbers
    hard: Numbers
    step: Numbers  # [E]: ‖θ_{t+1} − θ_t‖ of each epoch
    segments: Numbers  # [E + 1 − M]: ‖θ_{t+M} − θ_t‖, for each start epoch t
    experts: Count  # how many were measured
    images: Count  # training images in a pass
    by: str = "forgetting and EL2N"

    def __post_init__(self) -> None:
        """Raises ValueError for lengths that disagree."""
        of_epochs = (self.loss, self.accuracy, self.held_out, self.easy, self.hard)
        lengths = {len(values) for values in of_epochs if values is not None}
        if lengths != {self.epochs + 1} or not 1 <= self.expert_epochs <= self.epochs:
            raise ValueError("curves of different lengths")

    @property
    def epochs(self) -> int:
        """E."""
        return len(self.step)

    @property
    def expert_epochs(self) -> int:
        """M."""
        return self.epochs + 1 - len(self.segments)
