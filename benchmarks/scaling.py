"""Cost as work grows: time and memory against student steps, batch, ipc and number of experts.

    python -m benchmarks.scaling [--json] [--size small|full] [--report FILE.html]

Uncompiled, with a ConvNet of width 32 (small) or 128 (full), so that every point is as it would
be on its own. Memory is the peak of a process of its own, above what it held before.
"""

from __future__ import annotations

import time
from typing import Any

from benchmarks import experts, matching
from benchmarks.command_line import run
from benchmarks.memory import peak_above_start

WIDTH = {"small": 32, "full": 128}
BASE = {"steps": 10, "batch": 50, "images": 100}
GROWN = {
    "student steps": ("steps", (5, 10, 20, 40)),
    "batch": ("batch", (10, 25, 50, 100)),
    "images in the set": ("images", (100, 500, 1000, 2000)),
}
EXPERTS = (1, 2, 4)


def measure(size: str) -> dict[str, Any]:
    width = WIDTH[size]
    curves = []
    for label, (key, values) in GROWN.items():
        seconds, memory = [], []
        for value in values:
            settings = {**BASE, key: value, "width": width}
            seconds.append((value, _seconds(settings)))
            memory.append((value, peak_above_start("recursion", **settings) / 1e6))
        curves.append({"title": "seconds an iteration", "x": label, "lines": {label: seconds}})
        curves.append({"title": "MB an iteration", "x": label, "lines": {label: memory}})
    of_experts = [(count, _expert_seconds(count, width)) for count in EXPERTS]
    lines = {"experts of 2 steps": of_experts}
    curves.append({"title": "seconds of training", "x": "experts", "lines": lines})
    return {"what": f"one matching iteration, width {width}, eager, {BASE}", "curves": curves}


def _seconds(settings: dict[str, int]) -> float:
    """The better of two iterations."""
    iterate = matching.ready("eager_rebuilt", **settings)
    return min(_timed(iterate) for _ in range(2))


def _expert_seconds(count: int, width: int) -> float:
    turn = experts.ready("eager", steps=2, width=width)
    turn()
    return sum(_timed(turn) for _ in range(count))


def _timed(turn: Any) -> float:
    began = time.perf_counter()
    turn()
    return time.perf_counter() - began


if __name__ == "__main__":
    run({"scaling": measure})
