"""Peak memory of one matching iteration against student steps: the recursion and plain autograd.

    python -m benchmarks.memory [--json] [--size small|full]

Every figure is the peak resident size of a process of its own, which only ever rises, less what
the process held before the iteration. Published network: ConvNet of width 128 and depth 3 on
32×32 colour images, batch 100, uncompiled. Plain autograd at 80 steps is extrapolated from 10
and 20, as it would not fit most machines.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial
from typing import Any

from benchmarks.plain import unrolled_gradient
from benchmarks.problem import Matching, network, runtime
from datm_engine.distillation.matching import meta_gradient, student_gradient, train_student

RECURSION = {"small": (5, 80), "full": (5, 20, 80)}
PLAIN = (5, 10, 20)
EXTRAPOLATED = 80


def iterate(way: str, steps: int, width: int, batch: int, images: int) -> int:
    """One matching iteration in this process; by how much it raised the peak, in bytes."""
    on = runtime("float32", "off")
    net = network(width, on)
    problem = Matching.of(net, steps, batch, images, on)
    given = problem.images, problem.labels, problem.syn_lr, problem.steps
    before = _peak()
    if way == "plain":
        unrolled_gradient(net, problem.start, problem.target, *given)
    else:
        gradient = student_gradient(net)
        student = train_student(gradient, problem.start, problem.target, *given)
        meta_gradient(gradient, student, problem.target, *given)
    return _peak() - before


def peak_above_start(
    way: str, steps: int, width: int = 128, batch: int = 100, images: int = 100
) -> int:
    """The same in a fresh process. way: "recursion" or "plain"."""
    given = {"steps": steps, "width": width, "batch": batch, "images": images}
    command = [sys.executable, "-m", "benchmarks.memory", "--one", way, json.dumps(given)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def measure(size: str) -> dict[str, Any]:
    """Peaks in bytes by student steps, and the ratios that matter."""
    recursion = partial(peak_above_start, "recursion")
    ours = {steps: recursion(steps) for steps in RECURSION[size]}
    plain = {steps: peak_above_start("plain", steps) for steps in PLAIN}
    a_step = (plain[20] - plain[10]) / 10
    extrapolated = round(plain[20] + a_step * (EXTRAPOLATED - 20))
    return {
        "what": "peak memory of one matching iteration, width 128, batch 100, float32",
        "curves": [
            {
                "title": "GB an iteration",
                "x": "student steps",
                "lines": {
                    "recursion": [(steps, peak / 1e9) for steps, peak in ours.items()],
                    "plain autograd": [(steps, peak / 1e9) for steps, peak in plain.items()],
                },
            }
        ],
        "figures": {
            "plain_at_80_extrapolated_from_10_and_20": extrapolated,
            "recursion_80_over_5": ours[80] / ours[5],
            "plain_over_recursion_at_80": extrapolated / ours[80],
        },
    }


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(iterate(sys.argv[2], **json.loads(sys.argv[3])))
    else:
        from benchmarks.__main__ import run

        run({"memory": measure})
