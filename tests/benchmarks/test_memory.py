"""The meta-gradient takes the memory of one student step, however many there are, and however
many images the set has."""

from __future__ import annotations

from functools import partial

from benchmarks.memory import peak_above_start


def test_memory_is_flat_in_student_steps_and_images() -> None:
    """By growth, as what the interpreter itself allocates differs by some ten MB from process to
    process. A further step of plain autograd takes its graph; of the recursion, its weights."""
    recursion = partial(peak_above_start, "recursion", width=32, batch=64)
    plain = partial(peak_above_start, "plain", width=32, batch=64)
    few = recursion(5, images=64)
    a_graph = (plain(20, images=64) - plain(5, images=64)) / 15
    assert a_graph > 5e6, "the measure sees graphs that are kept"
    assert (recursion(80, images=64) - few) / 75 < 0.1 * a_graph
    more_images = 576 * 3 * 32 * 32 * 4
    assert recursion(5, images=640) - few < 4 * more_images + 3 * a_graph
