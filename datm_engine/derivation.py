"""What to set where nothing is published: each rule, what it is fitted to, and its reason in words.

The paper's argument is that the difficulty of what is matched must fit the size of the synthetic
set. Its published windows say how: they follow the number of synthetic images in all, whatever the
dataset (`published_window`). Epochs of other experts are told from the published ones by how much
has been learned: `PROGRESS` is the clock. And a window should reach beyond what as many real
images teach, or the set could as well be made of those.

Nothing here reads a file or trains; `datm_engine.alignment` measures what the rules ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Value = int | float

WINDOW = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch", "expansion_iterations")
ALIGNED = (*WINDOW, "expert_epochs", "syn_steps", "batch_syn", "syn_lr")
RATES = ("lr_images", "lr_labels", "lr_lr", "threshold")
DERIVABLE = (*ALIGNED, *RATES)  # keys of [distill], in the order in which they are derived

# How much of what they ever learn the published experts have learned by an epoch: training loss
# (without augmentation) fallen, as a share of its whole fall in 100 epochs. Measured, on CIFAR-10.
PROGRESS = (
    (0, 0.0),
    (1, 0.2),
    (2, 0.3),
    (4, 0.42),
    (10, 0.6),
    (20, 0.75),
    (40, 0.88),
    (60, 0.94),
    (70, 0.96),
    (100, 1.0),
)

STEPS_OF_EPOCH = 20  # training steps an expert's epoch has at least, where images allow
PUBLISHED_STEPS = 195  # those of 50,000 images in batches of 256
PUBLISHED_BATCH, PUBLISHED_LR, LARGEST_LR = 256, 0.01, 0.05
FEWEST_EXPERTS, MOST_EXPERTS = 8, 100
SEGMENT = 2  # M of the published settings, but for one
SHORTEST_SEGMENT = 40  # an expert's steps that a segment should hold
STUDENT_STEPS = (20, 80)  # N
LARGEST_BATCH = 1000
STEP_OF_IMAGES, STEP_OF_LABELS, STEP_OF_RATE = 0.6, 0.02, 0.02


@dataclass(frozen=True)
class Derived:
    """A value for `key` of a table of the configuration, and why it is that."""

    key: str
    value: Value
    reason: str


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


def published_window(images: int) -> tuple[float, float, float]:
    """T⁻, T and T⁺ in the published experts' epochs for `images` synthetic images in all.

    Fitted to the twelve published windows (DATM's settings), from 10 to 10,000 images.
    """
    final = min(max(20 * math.log10(images) - 16, 3.0), 70.0)
    lower = min(max(35 * math.log10(images / 1000), 0.0), 40.0)
    grows = lower == 0 and final >= 10
    return lower, (final / 2 if grows else final), final


def experts_settings(images: int, iterations: int) -> list[Derived]:
    """[experts] for so many training images, where no preset states them."""
    batch = 2 ** max(2, math.floor(math.log2(max(1, images / STEPS_OF_EPOCH))))
    batch = min(batch, PUBLISHED_BATCH)
    steps = -(-images // batch)
    lr = min(max(PUBLISHED_LR * PUBLISHED_STEPS / steps, PUBLISHED_LR), LARGEST_LR)
    count = min(max(iterations // 100, FEWEST_EXPERTS), MOST_EXPERTS)
    return [
        Derived(
            "batch",
            batch,
            f"{steps} steps an epoch with {images:,} training images: at least {STEPS_OF_EPOCH} "
            f"wanted, and at most the published {PUBLISHED_BATCH} images a step",
        ),
        Derived(
            "lr",
            _rounded(lr),
            f"the published {PUBLISHED_LR} is for {PUBLISHED_STEPS} steps an epoch; fewer steps "
            f"take a larger one, up to {LARGEST_LR}",
        ),
        Derived(
            "count",
            count,
            f"one for every 100 of {iterations:,} iterations, as published; "
            f"{FEWEST_EXPERTS} at least",
        ),
    ]


def aligned(
    images: int,
    iterations: int,
    experts: Experts,
    random: float | None,
    held: Mapping[str, Value],
) -> list[Derived]:
    """The window, M, N, the batch and the student's rate for `images` synthetic images in all.

    random: percent that networks reach which were trained on as many real images, if it was
    measured. held: the keys that somebody stated; these are kept, and the others made to fit.
    """
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
    for window in _window(images, experts, random, m, held):
        settle(window.key, window.value, window.reason)
    grows = values["initial_max_start_epoch"] < values["max_start_epoch"]
    settle(
        "expansion_iterations",
        max(1, iterations // 5) if grows else 0,
        f"T grows over a fifth of {iterations:,} iterations" if grows else "0, as T does not grow",
    )
    n = round(min(max(m * steps / 5, STUDENT_STEPS[0]), STUDENT_STEPS[1]))
    settle(
        "syn_steps",
        n,
        f"N: a fifth of the {m * steps} steps that an expert takes in a segment, as published; "
        f"within {STUDENT_STEPS[0]} and {STUDENT_STEPS[1]}",
    )
    settle(
        "batch_syn",
        min(images, LARGEST_BATCH),
        f"all {images:,} synthetic images at once"
        if images <= LARGEST_BATCH
        else f"{LARGEST_BATCH} of {images:,} images, the most that is published",
    )
    n = int(values["syn_steps"])
    rate = experts.lr * min(max(0.3 * m * steps / n, 1.0), 3.0)
    settle(
        "syn_lr",
        _rounded(rate),
        f"η at first: {n} student steps go about a third as far as an expert's {m * steps} at "
        f"{experts.lr:g}; within 1 and 3 times that rate",
    )
    return told


def _window(
    images: int, experts: Experts, random: float | None, m: int, held: Mapping[str, Value]
) -> list[Derived]:
    published = published_window(images)
    learned = progress(experts.loss)
    last = experts.epochs - m  # the latest start epoch
    lower, initial, final = (_epoch_of(learned, reached(epoch)) for epoch in published)
    told = [
        f"{images:,} synthetic images want epoch {epoch:.0f} of the published experts, by when "
        f"{reached(epoch):.0%} of the loss's fall is behind them; here that is epoch {own}"
        for epoch, own in zip(published, (lower, initial, final), strict=True)
    ]
    if random is not None:
        beyond = first(experts.judged, lambda accuracy: accuracy >= random)
        if beyond is not None and beyond > final:
            told[2] += (
                f", and epoch {beyond} is the first where they know more than as many random real "
                f"images teach ({random:.1f}%)"
            )
            final = beyond
            if published[0] > 0 or published[1] == published[2]:
                initial = final
    final = int(held.get("max_start_epoch", min(max(final, 2), last + 1)))
    lower = int(held.get("min_start_epoch", min(lower, max(0, final - 2))))
    final = max(final, lower + 1)
    initial = int(held.get("initial_max_start_epoch", min(max(initial, lower + 1), final)))
    final = max(final, initial)
    if held.get("expansion_iterations") == 0 and "initial_max_start_epoch" not in held:
        initial = final
    return [
        Derived(
            "min_start_epoch",
            lower,
            f"T⁻: {told[0]}"
            if published[0]
            else f"T⁻: {images:,} synthetic images or fewer than 1,000 want the first epochs too",
        ),
        Derived("initial_max_start_epoch", initial, f"T at first: {told[1]}"),
        Derived("max_start_epoch", final, f"T⁺: {told[2]}"),
    ]


def rates(
    iterations: int, steps: Mapping[str, float], loss: float, held: Mapping[str, Value]
) -> list[Derived]:
    """The rates at which images, labels and η are learned, and the threshold.

    steps: "images", "labels", "syn_lr" → how far a rate of 1 would move each in an iteration, as a
    share of its size, measured at the start. loss: the matching loss there, the largest measured.
    """
    relative = {
        "lr_images": ("images", STEP_OF_IMAGES, "the images' deviation"),
        "lr_labels": ("labels", STEP_OF_LABELS, "the logits' deviation"),
        "lr_lr": ("syn_lr", STEP_OF_RATE, "η"),
    }
    told = []
    for key, (name, share, whole) in relative.items():
        if key in held:
            continue
        wanted = share / math.sqrt(iterations)
        told.append(
            Derived(
                key,
                _rounded(wanted / steps[name]) if steps[name] > 0 else 0.0,
                f"a step of {wanted:.2%} of {whole} at first, {share:g}/√iterations: by the "
                "gradients of the first segments",
            )
        )
    if "threshold" not in held:
        threshold = 1.0 if loss < 0.95 else round(1.1 * max(1.0, loss), 2)
        told.append(
            Derived(
                "threshold",
                threshold,
                f"the matching loss starts at {loss:.2f}: "
                + ("the published 1.0" if threshold == 1.0 else "a tenth above it, or above 1"),
            )
        )
    return told


def reached(epoch: float) -> float:
    """The share of their learning that the published experts have behind them at an epoch."""
    below = max((point for point in PROGRESS if point[0] <= epoch), default=PROGRESS[0])
    above = min((point for point in PROGRESS if point[0] >= epoch), default=PROGRESS[-1])
    if above[0] == below[0]:
        return below[1]
    return below[1] + (above[1] - below[1]) * (epoch - below[0]) / (above[0] - below[0])


def progress(loss: Sequence[float]) -> list[float]:
    """[E + 1]: the share of the loss's whole fall that is behind at every epoch; never falling."""
    fall = loss[0] - min(loss)
    shares, most = [], 0.0
    for value in loss:
        most = max(most, (loss[0] - value) / fall if fall > 0 else 1.0)
        shares.append(most)
    return shares


def first(values: Sequence[float], holds: Callable[[float], bool]) -> int | None:
    return next((place for place, value in enumerate(values) if holds(value)), None)


def _epoch_of(learned: Sequence[float], share: float) -> int:
    """The epoch by which `share` has been learned, the nearer of the two around it."""
    after = first(learned, lambda value: value >= share - 1e-9)
    assert after is not None  # the last is 1
    if after and share - learned[after - 1] < learned[after] - share:
        return after - 1
    return after


def _rounded(value: float) -> float:
    """To two digits: more would claim to be known."""
    return float(f"{value:.1e}")
