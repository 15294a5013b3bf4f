"""The meta-gradient takes the memory of one student step, however many there are, and however
many images the set has."""

from __future__ import annotations

from functools import partial

from benchmarks.memory import peak_above_start


def test_memory_is_flat_in_student_steps_and_images() -> None:
    """A batch large enough that a step's graph outweighs the interpreter's own allocations."""
    recursion = partial(peak_above_start, "recursion", width=32, batch=64, images=64)
    few, many = recursion(5), recursion(80)
    assert many <= 1.3 * few
    assert peak_above_start("recursion", 5, width=32, batch=64, images=640) <= 1.3 * few
    plain = peak_above_start("plain", 10, width=32, batch=64, images=64)
    assert plain > 2 * few, "the measure sees graphs that are kept"
