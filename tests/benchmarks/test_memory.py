"""The meta-gradient takes the memory of one student step, however many there are, and however
many images the set has."""

from __future__ import annotations

import multiprocessing
from functools import partial

import pytest
import torch

from benchmarks.memory import iterate

BATCH, WIDTH = 32, 16


def peak(way: str, steps: int, images: int = BATCH) -> int:
    """The peak of an iteration above its start, in bytes, in a process of its own."""
    with multiprocessing.get_context("fork").Pool(1) as pool:
        measure = partial(iterate, steps=steps, width=WIDTH, batch=BATCH, images=images)
        return pool.apply(measure, (way,))


@pytest.mark.skipif(
    torch.cuda.is_available(), reason="a process that used a GPU must not be forked"
)
def test_memory_is_flat_in_student_steps_and_images() -> None:
    """By growth, as what the interpreter itself allocates differs by some MB from process to
    process. A further step of plain autograd takes its graph; of the recursion, its weights."""
    few = peak("recursion", 5)
    a_graph = (peak("plain", 12) - peak("plain", 4)) / 8
    assert a_graph > 5e6, "graphs that are kept are measured"
    assert (peak("recursion", 45) - few) / 40 < 0.1 * a_graph
    more_images = 576 * 3 * 32 * 32 * 4  # bytes
    assert peak("recursion", 5, images=BATCH + 576) - few < 4 * more_images + 3 * a_graph
