"""What experts know after every epoch, as facts that a run can keep and any screen can read."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any


@dataclass(frozen=True)
class Course:
    """What experts know after every epoch 0 … E, and how far they move: means over the experts
    that were measured.

    The tuples of knowledge are [E + 1], accuracies in percent. Easy and hard are the first and the
    last third of the training images in the order that `by` names.
    """

    loss: tuple[float, ...]  # cross-entropy of the training images, as they are
    accuracy: tuple[float, ...]  # of the training images
    held_out: tuple[float, ...] | None  # of the held-out ones; None where there are none
    easy: tuple[float, ...]
    hard: tuple[float, ...]
    step: tuple[float, ...]  # [E]: ‖θ_{t+1} − θ_t‖, an epoch's
    segments: tuple[float, ...]  # [E + 1 − M]: ‖θ_{t+M} − θ_t‖, matched from start epoch t
    experts: int  # how many were measured
    images: int  # how many training images each pass took
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
        """As JSON can state it; the reverse of `read_course`."""
        stated = asdict(self).items()
        return {name: list(value) if isinstance(value, tuple) else value for name, value in stated}


def read_course(facts: Any) -> Course:
    """The course that `facts` state. Fields that this version does not know are left out. Raises
    ValueError for what is missing, of another type, not finite, or of lengths that disagree."""
    if not isinstance(facts, dict):
        raise ValueError("not a course of experts")
    if lacking := [field.name for field in fields(Course) if field.name not in facts]:
        raise ValueError(f"a course of experts without {', '.join(lacking)}")
    held_out = facts["held_out"]
    course = Course(
        loss=_numbers(facts, "loss"),
        accuracy=_numbers(facts, "accuracy"),
        held_out=None if held_out is None else _numbers(facts, "held_out"),
        easy=_numbers(facts, "easy"),
        hard=_numbers(facts, "hard"),
        step=_numbers(facts, "step"),
        segments=_numbers(facts, "segments"),
        experts=_count(facts, "experts"),
        images=_count(facts, "images"),
        by=str(facts["by"]),
    )
    known = [course.loss, course.accuracy, course.held_out or course.loss, course.easy, course.hard]
    if {len(values) for values in known} != {course.epochs + 1} or course.epochs < 1:
        raise ValueError("a course of experts whose epochs disagree")
    if not 1 <= course.expert_epochs <= course.epochs:
        raise ValueError("a course of experts whose segments and epochs disagree")
    return course


def _numbers(facts: dict[str, Any], name: str) -> tuple[float, ...]:
    values = facts[name]
    if not isinstance(values, list | tuple) or not all(_is_number(value) for value in values):
        raise ValueError(f"a course of experts whose {name} are no numbers")
    return tuple(float(value) for value in values)


def _count(facts: dict[str, Any], name: str) -> int:
    value = facts[name]
    if type(value) is not int or not 0 < value < 2**63:
        raise ValueError(f"a course of experts whose {name} is no count")
    return value


def _is_number(value: Any) -> bool:
    """Finite, and not beyond what can be reckoned with."""
    if type(value) is int:
        return abs(value) < 2**63
    return type(value) is float and math.isfinite(value)
