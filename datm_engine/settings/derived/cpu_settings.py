"""Settings for a run on a CPU that no preset is made for: about half an hour on four cores.

They depend on the kind of the device and on the data, never on the speed of the machine, so that
the same command gives the same settings on every CPU. Half of the time is for matching, the rest
for experts and evaluations. The published settings take days on a CPU.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from datm_engine.settings.convnet_sizes import convnet_multiply_adds
from datm_engine.settings.derived.early_stop import estimated_epochs
from datm_engine.settings.derived.expert_training import PUBLISHED_STEPS, experts_settings
from datm_engine.settings.derived.values import Derived
from datm_engine.settings.derived.window_rules import (
    LARGEST_BATCH,
    segment_epochs,
    student_steps,
)
from datm_engine.settings.image_size import Shape

WIDTH = 32
# Training images, and more where there are many synthetic ones, which start from them.
MOST_IMAGES, IMAGES_PER_SYNTHETIC = 10_000, 2
MATCHING_SECONDS = 900.0  # half of half an hour
# Multiply-adds of a second on four cores, for experts and for matching alike. One core of an AMD
# EPYC does 40e9 with compiled steps and 26e9 without, at 32×32, width 32 and batches of 32 or 100.
RATE = 100e9
# Forward passes that cost as much as a student's step in an iteration: its gradient, computed
# twice, and the derivatives of that.
PASSES = 12
# The same for experts: a step by GSAM costs six forward passes.
EXPERT_SECONDS, EXPERT_PASSES = 600.0, 6
FEWEST_EXPERTS, FEWEST_EPOCHS = 4, 30
FEWEST_ITERATIONS, MOST_ITERATIONS, ROUND_ITERATIONS = 100, 1000, 50
EVALUATION = {
    "evaluate.epochs": 300,
    "evaluate.full_epochs": 30,
    "evaluate.repeats": 3,
    "evaluate.full_repeats": 1,
}
PARTS = 5  # candidates and samples of a run
INTERVALS = ("evaluate.selection_interval", "distill.sample_interval")


def cpu_settings(
    tables: Mapping[str, Any],
    shape: Shape,
    images: int | None,
    fixed: Mapping[str, Any],
    *,
    is_large: bool,
) -> list[Derived]:
    """Values of "table.key" that make the settings `tables` fit a CPU; none above those of
    `tables`.

    images: training images, if known. fixed: values of keys that are not derived; the others fit
    to them. is_large: whether there are more images than `MOST_IMAGES`.
    """
    derived: list[Derived] = []

    def limited(name: str, most: int, reason: str) -> int:
        table, _, key = name.partition(".")
        before = tables[table][key]
        if name in fixed or (before != "all" and before <= most):
            return int(before)
        derived.append(Derived(name, most, reason))
        return most

    before = tables["network"]["width"]
    depth, size = tables["network"]["depth"], shape.assumed_size
    times = convnet_multiply_adds(before, depth, size) / convnet_multiply_adds(WIDTH, depth, size)
    reason = f"{before} learns more and takes {times:.0f} times as long"
    width = limited("network.width", WIDTH, reason)
    count = tables["distill"]["ipc"] * shape.classes
    most_images = max(MOST_IMAGES, IMAGES_PER_SYNTHETIC * count)
    # Datasets whose number of images is not known here have 50,000 and more.
    is_large = is_large and (50_000 if images is None else images) > most_images
    is_fixed = "dataset.train_images" in fixed or tables["dataset"]["train_images"] != "all"
    if is_large and not is_fixed:
        every = "all" if images is None else f"all {images:,}"
        reason = f"{every} teach more, and experts take longer in proportion"
        images = limited("dataset.train_images", most_images, reason)
    iterations = limited(
        "distill.iterations",
        _iterations(count, images, convnet_multiply_adds(width, depth, size)),
        f"half of the time; {tables['distill']['iterations']:,} are published, and more are better",
    )
    epochs = tables["experts"]["epochs"]
    if images is not None and isinstance(epochs, int):
        passed = convnet_multiply_adds(width, depth, size)
        most = max(FEWEST_EPOCHS, int(_expert_epochs(images, passed) / FEWEST_EXPERTS))
        if estimated_epochs(epochs, images) > most:
            limited("experts.epochs", most, f"{epochs} epochs of so many images teach more")
    for name in INTERVALS:
        limited(name, max(1, iterations // PARTS), f"{PARTS} times in a run")
    for name, most in EVALUATION.items():
        table, _, key = name.partition(".")
        limited(name, most, f"{tables[table][key]} are more exact")
    return derived


def _iterations(synthetic: int, images: int | None, passed: int) -> int:
    """As many as `MATCHING_SECONDS` are enough for."""
    steps = PUBLISHED_STEPS  # of an expert's epoch
    if images is not None:
        batch = next(one for one in experts_settings(images, 0) if one.key == "batch")
        steps = -(-images // int(batch.value))
    m = segment_epochs(steps, epochs=100)
    step = min(synthetic, LARGEST_BATCH) * PASSES * passed
    count = MATCHING_SECONDS * RATE / (student_steps(m * steps) * step)
    rounded = ROUND_ITERATIONS * int(count / ROUND_ITERATIONS)
    return min(max(rounded, FEWEST_ITERATIONS), MOST_ITERATIONS)


def most_experts(tables: Mapping[str, Any], shape: Shape, images: int) -> Derived:
    """How many experts of so many images `EXPERT_SECONDS` are enough for."""
    network, epochs = tables["network"], tables["experts"]["epochs"]
    passed = convnet_multiply_adds(network["width"], network["depth"], shape.assumed_size)
    # Not a number: as many as the window needs.
    epochs = estimated_epochs(epochs, images) if isinstance(epochs, int) else FEWEST_EPOCHS
    count = max(int(_expert_epochs(images, passed) / epochs), FEWEST_EXPERTS)
    reason = (
        "for a CPU: as many as a third of half an hour on four cores is enough for, or "
        f"{FEWEST_EXPERTS}; more experts know more"
    )
    return Derived("experts.count", count, reason)


def _expert_epochs(images: int, passed: int) -> float:
    """How many epochs, of all experts together, `EXPERT_SECONDS` are enough for. passed:
    multiply-adds of an image's forward pass."""
    return EXPERT_SECONDS * RATE / (images * EXPERT_PASSES * passed)
