"""Converting epochs of one dataset's experts to another's, by how much has been learned."""

from __future__ import annotations

from collections.abc import Callable, Sequence

# (epoch, share): the fall of the published experts' training loss up to an epoch, without
# augmentation, as a share of its fall in 100 epochs. Measured: CIFAR-10 at 16×16, 24,960 images,
# ConvNet 32×2, SGD at 0.01 in 195 steps an epoch, ZCA and augmentation.
PROGRESS = (
    *((0, 0.0), (1, 0.19), (2, 0.29), (4, 0.40), (6, 0.49), (10, 0.61)),
    *((20, 0.75), (30, 0.81), (40, 0.86), (60, 0.92), (80, 0.97), (100, 1.0)),
)


def reached(epoch: float) -> float:
    """The share of their learning that the published experts have done by an epoch."""
    below = max((point for point in PROGRESS if point[0] <= epoch), default=PROGRESS[0])
    above = min((point for point in PROGRESS if point[0] >= epoch), default=PROGRESS[-1])
    if above[0] == below[0]:
        return below[1]
    return below[1] + (above[1] - below[1]) * (epoch - below[0]) / (above[0] - below[0])


def progress(loss: Sequence[float]) -> list[float]:
    """The share of the loss's whole fall after each epoch: [E + 1], never falling."""
    fall = loss[0] - min(loss)
    shares, most = [], 0.0
    for value in loss:
        most = max(most, (loss[0] - value) / fall if fall > 0 else 1.0)
        shares.append(most)
    return shares


def first(values: Sequence[float], holds: Callable[[float], bool]) -> int | None:
    """The first epoch whose value holds."""
    return next((epoch for epoch, value in enumerate(values) if holds(value)), None)


def epoch_of(learned: Sequence[float], share: float) -> int:
    """The epoch nearest to where `share` has been learned. learned: as `progress` returns it."""
    after = first(learned, lambda value: value >= share - 1e-9)
    assert after is not None  # the last value is 1
    if after and share - learned[after - 1] < learned[after] - share:
        return after - 1
    return after
