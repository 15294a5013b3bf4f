"""The meta-gradient takes the memory of one student step, however many there are."""

from __future__ import annotations

from benchmarks.memory import measure


def test_memory_is_flat_in_student_steps() -> None:
    """A batch large enough that a step's graph outweighs the interpreter's own allocations."""
    few, many = (measure("recursion", steps, width=32, batch=64) for steps in (5, 80))
    assert many <= 1.3 * few
    plain = measure("plain", 10, width=32, batch=64)
    assert plain > 2 * few, "the measure sees graphs that are kept"
