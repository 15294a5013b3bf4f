"""Rules for which epochs are matched and how: the window, M, N and the batch.

Epochs of the published experts become epochs of others by how much these have learned.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal, get_args

from datm_engine.errors import ConfigError, Setting
from datm_engine.settings.derived.values import Derived, Value

# How far DATM's published sets come on the way from random real images to all of them: 0.43 to 0.46
# of it at 1 image per class, 0.67 to 0.80 at 10, 0.75 and more at 50. Where random images alone
# reach a share of the full accuracy, distilled ones reach at least that share of the rest (on
# digits 0.66 and 0.73 at 1 image per class, 0.82 and 0.88 at 3).
AT_ONE, PER_TENFOLD, AT_MOST = 0.45, 0.3, 0.95
LATEST_START = 2 / 3  # T⁻ as a share of T⁺, the largest that is published (40 of 60)
NARROWEST = 2  # start epochs between T⁻ and T⁺
NEGLIGIBLE = 0.1  # of the experts' epochs: an earlier T⁻ is 0, as in the published windows
GROWING = 5  # epochs of the shortest window from 0 that begins with half of them
SEGMENT = 2  # M of all published settings but one
SHORTEST_SEGMENT = 40  # the fewest of an expert's steps in a segment
MOST_OF_EPOCHS = 4  # M is at most the experts' epochs divided by this
STUDENT_STEPS = (20, 80)  # the range of N
LARGEST_BATCH = 1000

# (epoch, share): the fall of the published experts' training loss up to an epoch, without
# augmentation, as a share of its fall in 100 epochs. Measured: CIFAR-10 at 16×16, 24,960 images,
# ConvNet 32×2, SGD at 0.01 in 195 steps an epoch, ZCA and augmentation.
PROGRESS = (
    *((0, 0.0), (1, 0.19), (2, 0.29), (4, 0.40), (6, 0.49), (10, 0.61)),
    *((20, 0.75), (30, 0.81), (40, 0.86), (60, 0.92), (80, 0.97), (100, 1.0)),
)

Third = Literal["early", "middle", "late"]  # of the experts' start epochs
THIRDS: tuple[Third, ...] = get_args(Third)


@dataclass(frozen=True)
class Experts:
    """What was measured of the experts.

    loss, accuracy: of the training images after each epoch, [E + 1]. held_out: the accuracy of
    held-out images, if there are any. Accuracies are in percent. steps: of an epoch. planned: the
    epochs that they would have without `experts.early_stop`, if that may have ended them.
    """

    loss: Sequence[float]
    accuracy: Sequence[float]
    held_out: Sequence[float] | None
    steps: int
    lr: float
    planned: int | None = None

    @property
    def epochs(self) -> int:
        return len(self.loss) - 1

    @property
    def whole_epochs(self) -> int:
        return self.epochs if self.planned is None else self.planned

    @property
    def judged(self) -> Sequence[float]:
        return self.accuracy if self.held_out is None else self.held_out

    def knowing(self, percent: float) -> int:
        """The first epoch after which they get `percent` right, or the most they ever do."""
        least = min(percent, max(self.judged))
        return next(epoch for epoch, accuracy in enumerate(self.judged) if accuracy >= least)


def reached(epoch: float) -> float:
    """The share of their learning that the published experts have done by an epoch."""
    below = max((point for point in PROGRESS if point[0] <= epoch), default=PROGRESS[0])
    above = min((point for point in PROGRESS if point[0] >= epoch), default=PROGRESS[-1])
    if above[0] == below[0]:
        return below[1]
    return below[1] + (above[1] - below[1]) * (epoch - below[0]) / (above[0] - below[0])


def progress(loss: Sequence[float], epochs: int | None = None) -> list[float]:
    """The share of the loss's whole fall after each epoch: [E + 1], never falling, at last 1.

    epochs: how many would be the whole training, where it ended earlier. The loss is then taken to
    fall on as a power of the epoch, as it did over the last half of E, and the last share is below
    1.
    """
    last, lowest = len(loss) - 1, min(loss)
    if epochs is not None and 2 <= last < epochs and 0 < loss[last] < loss[last // 2]:
        exponent = math.log(loss[last] / loss[last // 2]) / math.log(last / (last // 2))
        lowest = min(lowest, loss[last] * (epochs / last) ** exponent)
    fall = loss[0] - lowest
    return list(accumulate(((loss[0] - value) / fall if fall > 0 else 1.0 for value in loss), max))


def epoch_of(learned: Sequence[float], share: float) -> int:
    """The epoch nearest to where `share` has been learned, the last one if it never is. learned: as
    `progress` returns it."""
    last = len(learned) - 1
    after = next((epoch for epoch, value in enumerate(learned) if value >= share - 1e-9), last)
    if after and share - learned[after - 1] < learned[after] - share:
        return after - 1
    return after


def segment_epochs(steps: int, epochs: int) -> int:
    """M, for experts of so many epochs of `steps` steps."""
    return min(max(SEGMENT, -(-SHORTEST_SEGMENT // steps)), max(1, epochs // MOST_OF_EPOCHS))


def student_steps(expert_steps: int) -> int:
    """N, for so many steps of an expert in a segment."""
    return 10 * round(min(max(expert_steps / 5, STUDENT_STEPS[0]), STUDENT_STEPS[1]) / 10)


def published_window(images: int) -> tuple[float, float]:
    """T⁻ and T⁺ in epochs of the published experts, for `images` synthetic images in all.

    Fitted to DATM's twelve published windows, from 10 to 10,000 images.
    """
    final = min(max(20 * math.log10(images) - 16, 3.0), 70.0)
    lower = min(max(35 * math.log10(images / 1000), 0.0), 40.0)
    return lower, final


def window_settings(
    ipc: int,
    classes: int,
    iterations: int,
    experts: Experts,
    random: float | None,
    fixed: Mapping[str, Value],
) -> list[Derived]:
    """The window, M, N and the batch.

    random: accuracy in percent of networks trained on as many random real images, if measured.
    fixed: values of keys that are not derived; the others fit to them.
    """
    images = ipc * classes
    values: dict[str, Value] = {}
    derived: list[Derived] = []

    def derive(key: str, value: Value, reason: str) -> None:
        values[key] = fixed.get(key, value)
        if key not in fixed:
            derived.append(Derived(key, value, reason))

    steps = experts.steps
    segment = segment_epochs(steps, experts.epochs)
    derive(
        "expert_epochs",
        segment,
        f"M: the published {SEGMENT} epochs"
        + (f", or more to hold {SHORTEST_SEGMENT} of an expert's steps" * (segment > SEGMENT))
        + f"; an epoch has {steps} steps here",
    )
    m = int(values["expert_epochs"])
    for window in _window(ipc, images, experts, random, m, fixed):
        derive(window.key, window.value, window.reason)
    grows = values["initial_max_start_epoch"] < values["max_start_epoch"]
    derive(
        "expansion_iterations",
        max(1, iterations // 5) if grows else 0,
        f"T grows over a fifth of {iterations:,} iterations" if grows else "0, as T does not grow",
    )
    derive(
        "syn_steps",
        student_steps(m * steps),
        f"N: about a fifth of the {m * steps} steps that an expert takes in a segment, as "
        f"published; within {STUDENT_STEPS[0]} and {STUDENT_STEPS[1]}",
    )
    derive(
        "batch_syn",
        min(images, LARGEST_BATCH),
        f"all {images:,} synthetic images at once"
        if images <= LARGEST_BATCH
        else f"{LARGEST_BATCH} of {images:,} images, the most that is published",
    )
    return derived


def _window(
    ipc: int,
    images: int,
    experts: Experts,
    random: float | None,
    m: int,
    fixed: Mapping[str, Value],
) -> list[Derived]:
    """T⁻, T and T⁺: the later of two readings, for the lower and for the upper bound."""
    learned, last_start = progress(experts.loss, experts.planned), experts.epochs - m
    # 1. The published window for as many images, converted to these experts' epochs.
    published = published_window(images)
    lower, final = (epoch_of(learned, reached(epoch)) for epoch in published)
    first_reason = f"{images:,} synthetic images"
    last_reason = (
        f"{images:,} synthetic images want epoch {published[1]:.0f} of the published experts, "
        f"{reached(published[1]):.0%} of the way down their loss: epoch {final} here"
    )
    if published[0] == 0:
        first_reason += ", fewer than 1,000, want the first epochs too"
    else:
        first_reason += f" want epoch {published[0]:.0f} of the published experts: {lower} here"
    if random is not None:
        # 2. From what random real images teach up to what the distilled ones are to teach.
        best = max(experts.judged)
        by_ipc, by_random = AT_ONE + PER_TENFOLD * math.log10(ipc), random / max(best, 1.0)
        share = min(max(by_ipc, by_random), AT_MOST)
        aim = random + share * max(0.0, best - random)
        knowing, aimed = experts.knowing(random), experts.knowing(aim)
        if knowing > max(lower, NEGLIGIBLE * experts.whole_epochs):
            lower = knowing
            first_reason = (
                f"from epoch {lower} on experts know what {ipc} random real images per class teach "
                f"({random:.1f}%)"
            )
        if aimed > final:
            final = aimed
            last_reason = (
                f"from epoch {final} on experts know what {ipc} distilled images per class are to "
                f"teach: {aim:.1f}%, {share:.0%} of the way from {random:.1f}% to their best"
            )
    # Fixed bounds are kept; the others leave a window of start epochs that the experts have.
    final = int(fixed.get("max_start_epoch", min(max(final, 2), last_start + 1)))
    latest = max(0, min(math.floor(LATEST_START * final), final - NARROWEST))
    lower = int(fixed.get("min_start_epoch", min(lower, latest)))
    final = max(final, lower + 1)
    grows = lower == 0 and final >= GROWING and fixed.get("expansion_iterations") != 0
    opening = -(-final // 2) if grows else final
    initial = int(fixed.get("initial_max_start_epoch", min(max(opening, lower + 1), final)))
    final = max(final, initial)
    initial_reason = (
        "half of T⁺, as in the published windows from epoch 0"
        if grows
        else "T⁺ itself, as in the published windows that are short or begin late"
    )
    return [
        Derived("min_start_epoch", lower, f"T⁻: {first_reason}"),
        Derived("initial_max_start_epoch", initial, f"T at first: {initial_reason}"),
        Derived("max_start_epoch", final, f"T⁺: {last_reason}"),
    ]


def third(epochs: int, expert_epochs: int, part: Third) -> tuple[int, int, int]:
    """T⁻, T and T⁺ of a fixed window (T = T⁺, exclusive) over one third of the start epochs.

    Experts of `epochs` epochs have the start epochs 0 … epochs − M, M being `expert_epochs`. The
    thirds share none and leave none out; where they cannot be equal, the later ones have one more.

    Raises ConfigError where there are fewer than three start epochs.
    """
    starts = epochs - expert_epochs + 1
    if starts < len(THIRDS):
        raise ConfigError(
            f"experts of {epochs} epochs, matched {expert_epochs} apart, have too few start epochs "
            "for thirds of them",
            Setting("experts.epochs", expert_epochs + len(THIRDS) - 1),
        )
    number = THIRDS.index(part)
    lower, upper = (starts * k // len(THIRDS) for k in (number, number + 1))
    return lower, upper, upper
