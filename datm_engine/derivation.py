"""What to set where nothing is published: each rule, what it is fitted to, and its reason in words.

The paper's argument is that the difficulty of what is matched must fit the size of the synthetic
set. Two readings of it are taken together, the later of both:

- Its published windows follow the number of synthetic images in all, whatever the dataset
  (`published_window`). Their epochs are told in those of other experts by how much has been
  learned: `PROGRESS` is the clock.
- A window should begin where experts know what as many random real images teach, and end where
  they know what the distilled ones are to teach (`AT_ONE`, `PER_TENFOLD`); before, the set could
  as well be made of real images, and beyond, of none so small.

Nothing here reads a file or trains; `datm_engine.alignment` measures what the rules ask for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Value = int | float

WINDOW = ("min_start_epoch", "initial_max_start_epoch", "max_start_epoch", "expansion_iterations")
ALIGNED = (*WINDOW, "expert_epochs", "syn_steps", "batch_syn")
RATES = ("syn_lr", "lr_images", "lr_labels", "lr_lr", "threshold")
DERIVABLE = (*ALIGNED, *RATES)  # keys of [distill], in the order in which they are derived

# How much of what they ever learn the published experts have learned by an epoch: training loss
# (without augmentation) fallen, as a share of its whole fall in 100 epochs. Measured, on CIFAR-10.
PROGRESS = (
    *((0, 0.0), (1, 0.2), (2, 0.3), (4, 0.42), (10, 0.6)),
    *((20, 0.75), (40, 0.88), (60, 0.94), (70, 0.96), (100, 1.0)),
)
# The share of the way from random real images to all of them that DATM's published sets come: 0.43
# to 0.46 at 1 image per class, 0.67 to 0.80 at 10, 0.75 and more at 50.
AT_ONE, PER_TENFOLD, AT_MOST = 0.45, 0.3, 0.95
LATEST_START = 2 / 3  # T⁻ as a share of T⁺, the largest that is published (40 of 60)
NEGLIGIBLE = 0.1  # of the experts' epochs: a T⁻ before it is 0, as in the published windows
GROWING = 5  # epochs that a window from 0 has at least to begin with half of them

STEPS_OF_EPOCH = 20  # training steps an expert's epoch has at least, where images allow
PUBLISHED_STEPS = 195  # those of 50,000 images in batches of 256
PUBLISHED_BATCH, PUBLISHED_LR, LARGEST_LR = 256, 0.01, 0.05
FEWEST_EXPERTS, MOST_EXPERTS = 8, 100
SEGMENT = 2  # M of the published settings, but for one
SHORTEST_SEGMENT = 40  # an expert's steps that a segment should hold
STUDENT_STEPS = (20, 80)  # N
LARGEST_BATCH = 1000
STEP_OF_IMAGES, STEP_OF_LABELS, STEP_OF_RATE = 0.6, 0.02, 0.02
FITTING = 0.95  # the matching loss that images not yet learned should begin below
HALVINGS = 3  # of η, for that


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

    def knowing(self, percent: float) -> int:
        """The first epoch after which they get so much right, or the most that they ever do."""
        known = first(self.judged, lambda accuracy: accuracy >= min(percent, max(self.judged)))
        assert known is not None
        return known


def reasons(derived: Any) -> dict[str, str]:
    """`table.key` → why it is what it is, of what a run states as derived; what is of another form
    is left out."""
    stated = derived.items() if isinstance(derived, dict) else ()
    return {
        str(key): str(one["reason"])
        for key, one in stated
        if isinstance(one, dict) and "reason" in one
    }


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
            rounded(lr),
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
    lower, final = (_epoch_of(learned, reached(epoch)) for epoch in (published[0], published[2]))
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
        share = min(AT_ONE + PER_TENFOLD * math.log10(ipc), AT_MOST)
        aim = random + share * max(0.0, max(experts.judged) - random)
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
    lower = int(held.get("min_start_epoch", min(lower, math.floor(LATEST_START * final))))
    lower = lower if "min_start_epoch" in held else max(0, min(lower, final - 1))
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


def student_rate(lr: float, expert_steps: int, n: int) -> float:
    """η at first, before anything is measured: N = `n` student steps go about a third as far as
    `expert_steps` of an expert at `lr`; within 1 and 3 times that."""
    return lr * min(max(0.3 * expert_steps / n, 1.0), 3.0)


def rates(
    iterations: int,
    syn_lr: float,
    halvings: int,
    steps: Mapping[str, float],
    loss: float,
    held: Mapping[str, Value],
) -> list[Derived]:
    """η, the rates at which images, labels and it are learned, and the threshold.

    syn_lr: η, halved `halvings` times so that matching begins below a loss of `FITTING`. steps:
    "images", "labels", "syn_lr" → how far a rate of 1 would move each in an iteration, as a share
    of its size, measured at the start. loss: the matching loss there, the largest measured.
    """
    relative = {
        "lr_images": ("images", STEP_OF_IMAGES, "the images' deviation"),
        "lr_labels": ("labels", STEP_OF_LABELS, "the logits' deviation"),
        "lr_lr": ("syn_lr", STEP_OF_RATE, "η"),
    }
    told = []
    if "syn_lr" not in held:
        halved = f", halved {halvings}× for a matching loss that begins lower" * (halvings > 0)
        reason = f"η at first: student steps that go about a third as far as the experts'{halved}"
        told.append(Derived("syn_lr", syn_lr, reason))
    for key, (name, share, whole) in relative.items():
        if key in held:
            continue
        wanted = share / math.sqrt(iterations)
        told.append(
            Derived(
                key,
                rounded(wanted / steps[name]) if steps[name] > 0 else 0.0,
                f"a step of {wanted:.2%} of {whole} at first, {share:g}/√iterations: by the "
                "gradients of the first segments",
            )
        )
    if "threshold" not in held:
        threshold = 1.0 if loss < FITTING else round(1.1 * max(1.0, loss), 2)
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


def rounded(value: float) -> float:
    """To two digits: more would claim to be known."""
    return float(f"{value:.1e}")
