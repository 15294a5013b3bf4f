"""What experts know after every epoch, as numbers that a run stores. Needs no torch."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import Field, Strict, TypeAdapter, ValidationError

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

    @property
    def epochs(self) -> int:
        """E."""
        return len(self.step)

    @property
    def expert_epochs(self) -> int:
        """M."""
        return self.epochs + 1 - len(self.segments)

    def facts(self) -> dict[str, Any]:
        """As JSON holds it; the reverse of `read_learning_curves`."""
        values = asdict(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in values}


_ADAPTER = TypeAdapter(LearningCurves)


def read_learning_curves(facts: Any) -> LearningCurves:
    """Read what `facts()` gave; unknown fields are ignored. Raises ValueError for a value that is
    missing, of another type or not finite, and for lengths that disagree."""
    try:
        curves = _ADAPTER.validate_python(facts)
    except ValidationError as problem:
        first = problem.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"learning curves of experts: {where} {first['msg'].lower()}") from None
    lengths = {
        len(values)
        for values in (curves.loss, curves.accuracy, curves.held_out, curves.easy, curves.hard)
        if values is not None
    }
    if lengths != {curves.epochs + 1} or curves.epochs < 1:
        raise ValueError("learning curves of experts of different lengths")
    if not 1 <= curves.expert_epochs <= curves.epochs:
        raise ValueError("learning curves of experts with too few or too many segments")
    return curves
