"""Which epochs are matched, in what pieces: the window, M, N and the batch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from datm_engine.errors import ConfigError
from datm_engine.settings.derived.clock import epoch_of, first, progress, reached
from datm_engine.settings.derived.values import Derived, Value

# The share of the way from random real images to all of them that DATM's published sets come: 0.43
# to 0.46 at 1 image per class, 0.67 to 0.80 at 10, 0.75 and more at 50. Where random ones come far
# by themselves, distilled ones come at least as far again (on digits 0.66 of the whole, and 0.73
# of the rest, at 1; 0.82 and 0.88 at 3).
AT_ONE, PER_TENFOLD, AT_MOST = 0.45, 0.3, 0.95
LATEST_START = 2 / 3  # T⁻ as a share of T⁺, the largest that is published (40 of 60)
NARROWEST = 2  # start epochs between T⁻ and T⁺
NEGLIGIBLE = 0.1  # of the experts' epochs: a T⁻ before it is 0, as in the published windows
GROWING = 5  # epochs that a window from 0 has at least to begin with half of them
SEGMENT = 2  # M of the published settings, but for one
SHORTEST_SEGMENT = 40  # an expert's steps that a segment should hold
STUDENT_STEPS = (20, 80)  # N
LARGEST_BATCH = 1000

Third = Literal["early", "middle", "late"]  # of the experts' start epochs
THIRDS: tuple[Third, ...] = get_args(Third)


@dataclass(frozen=True)
class Experts:
    """What is known of the experts: `loss` and `accuracy` [E + 1] of the training images after
    every epoch, `held_out` that of held-out ones, if there are any; accuracies in percent.
    `steps`: how many an epoch has. `lr`: their rate."""

    loss: Sequence[float]
    accuracy: Sequence[float]
    held_out: Sequence[float] | None
    steps: int
    lr: float

    @property
    def epochs(self) -> int:
        return len(self.loss) - 1

    @property
    def judged(self) -> Sequence[float]:
        return self.accuracy if self.held_out is None else self.held_out

    def knowing(self, percent: float) -> int:
        """The first epoch after which they get so much right, or the most that they ever do."""
        known = first(self.judged, lambda accuracy: accuracy >= min(percent, max(self.judged)))
        assert known is not None
        return known


def published_window(images: int) -> tuple[float, float, float]:
    """T⁻, T and T⁺ in the published experts' epochs for `images` synthetic images in all.

    Fitted to the twelve published windows (DATM's settings), from 10 to 10,000 images.
    """
    final = min(max(20 * math.log10(images) - 16, 3.0), 70.0)
    lower = min(max(35 * math.log10(images / 1000), 0.0), 40.0)
    grows = lower == 0 and final >= 10
    return lower, (final / 2 if grows else final), final


def aligned(
    ipc: int,
    classes: int,
    iterations: int,
    experts: Experts,
    random: float | None,
    held: Mapping[str, Value],
) -> list[Derived]:
    """The window, M, N and the batch.

    random: percent that networks reach which were trained on as many real images, if it was
    measured. held: the keys that somebody stated; these are kept, and the others made to fit.
    """
    images = ipc * classes
    values: dict[str, Value] = {}
    told: list[Derived] = []

    def settle(key: str, value: Value, reason: str) -> None:
        values[key] = held.get(key, value)
        if key not in held:
            told.append(Derived(key, value, reason))

    epochs, steps = experts.epochs, experts.steps
    longest = max(1, epochs // 4)
    segment = min(max(SEGMENT, -(-SHORTEST_SEGMENT // steps)), longest)
    settle(
        "expert_epochs",
        segment,
        f"M: the published {SEGMENT} epochs"
        + (f", or more to hold {SHORTEST_SEGMENT} of an expert's steps" * (segment > SEGMENT))
        + f"; an epoch has {steps} steps here",
    )
    m = int(values["expert_epochs"])
    for window in _window(ipc, images, experts, random, m, held):
        settle(window.key, window.value, window.reason)
    grows = values["initial_max_start_epoch"] < values["max_start_epoch"]
    settle(
        "expansion_iterations",
        max(1, iterations // 5) if grows else 0,
        f"T grows over a fifth of {iterations:,} iterations" if grows else "0, as T does not grow",
    )
    n = 10 * round(min(max(m * steps / 5, STUDENT_STEPS[0]), STUDENT_STEPS[1]) / 10)
    settle(
        "syn_steps",
        n,
        f"N: about a fifth of the {m * steps} steps that an expert takes in a segment, as "
        f"published; within {STUDENT_STEPS[0]} and {STUDENT_STEPS[1]}",
    )
    settle(
        "batch_syn",
        min(images, LARGEST_BATCH),
        f"all {images:,} synthetic images at once"
        if images <= LARGEST_BATCH
        else f"{LARGEST_BATCH} of {images:,} images, the most that is published",
    )
    return told


def _window(
    ipc: int,
    images: int,
    experts: Experts,
    random: float | None,
    m: int,
    held: Mapping[str, Value],
) -> list[Derived]:
    learned, last = progress(experts.loss), experts.epochs - m  # the latest start epoch
    published = published_window(images)
    lower, final = (epoch_of(learned, reached(epoch)) for epoch in (published[0], published[2]))
    first_told = f"{images:,} synthetic images"
    last_told = (
        f"{images:,} synthetic images want epoch {published[2]:.0f} of the published experts, "
        f"{reached(published[2]):.0%} of the way down their loss: epoch {final} here"
    )
    if published[0] == 0:
        first_told += ", fewer than 1,000, want the first epochs too"
    else:
        first_told += f" want epoch {published[0]:.0f} of the published experts: {lower} here"
    if random is not None:
        best = max(experts.judged)
        by_ipc, by_random = AT_ONE + PER_TENFOLD * math.log10(ipc), random / max(best, 1.0)
        share = min(max(by_ipc, by_random), AT_MOST)
        aim = random + share * max(0.0, best - random)
        knowing, aimed = experts.knowing(random), experts.knowing(aim)
        if knowing > max(lower, NEGLIGIBLE * experts.epochs):
            lower = knowing
            first_told = (
                f"from epoch {lower} on experts know what {ipc} random real images per class teach "
                f"({random:.1f}%)"
            )
        if aimed > final:
            final = aimed
            last_told = (
                f"from epoch {final} on experts know what {ipc} distilled images per class are to "
                f"teach: {aim:.1f}%, {share:.0%} of the way from {random:.1f}% to their best"
            )
    final = int(held.get("max_start_epoch", min(max(final, 2), last + 1)))
    latest = max(0, min(math.floor(LATEST_START * final), final - NARROWEST))
    lower = int(held.get("min_start_epoch", min(lower, latest)))
    final = max(final, lower + 1)
    grows = lower == 0 and final >= GROWING and held.get("expansion_iterations") != 0
    opening = -(-final // 2) if grows else final
    initial = int(held.get("initial_max_start_epoch", min(max(opening, lower + 1), final)))
    final = max(final, initial)
    return [
        Derived("min_start_epoch", lower, f"T⁻: {first_told}"),
        Derived(
            "initial_max_start_epoch",
            initial,
            "T at first: half of T⁺, as in the published windows from epoch 0"
            if grows
            else "T at first: T⁺ itself, as in the published windows that are short or begin late",
        ),
        Derived("max_start_epoch", final, f"T⁺: {last_told}"),
    ]


def third(epochs: int, expert_epochs: int, which: Third) -> tuple[int, int, int]:
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
            f"--set experts.epochs={expert_epochs + len(THIRDS) - 1}",
        )
    number = THIRDS.index(which)
    lower, upper = (starts * k // len(THIRDS) for k in (number, number + 1))
    return lower, upper, upper
