"""Peak memory of one matching iteration against student steps: the recursion and plain autograd.

    python -m benchmarks.memory [--json] [--size small|full]

Every figure is the peak resident size of a process of its own, less its resident size before the
iteration. Published network: ConvNet of width 128 and depth 3 on 32×32 colour images, batch 100,
float32. `recursion` keeps no graph and is not compiled; `kept` is compiled and keeps the graphs of
36 of 80 steps. Plain autograd at 80 steps is extrapolated from 10 and 20, as it would not fit
most machines.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks import matching
from benchmarks.command_line import run

RECURSION = {"small": (5, 20), "full": (5, 20, 80)}
PLAIN = (10, 20)
MOST = 80
STATUS, CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")
WAYS: dict[str, dict[str, Any]] = {
    "plain": {"way": "plain"},
    "recursion": {"way": "ours"},
    "kept": {"way": "ours", "compiling": "on", "kept": matching.SIXTH},
}


def iterate(way: str, **settings: Any) -> int:
    """One matching iteration in this process; how far its peak is above what it held, in bytes."""
    turn = matching.ready(**WAYS[way], **settings)
    if CLEAR.exists():
        CLEAR.write_text("5", encoding="ascii")  # the peak starts anew from here
    before = _resident()
    turn()
    return _peak() - before


def peak_above_start(
    way: str, steps: int, width: int = 128, batch: int = 100, images: int = 100
) -> int:
    """The same in a fresh process. way: a key of `WAYS`."""
    given = {"steps": steps, "width": width, "batch": batch, "images": images}
    command = [sys.executable, "-m", "benchmarks.memory", "--one", way, json.dumps(given)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return int(done.stdout)


def measure(size: str) -> dict[str, Any]:
    """Peaks in bytes by student steps, and the ratios that matter."""
    recursion = partial(peak_above_start, "recursion")
    ours = {steps: recursion(steps) for steps in RECURSION[size]}
    most = max(ours)
    kept = peak_above_start("kept", MOST)
    plain = {steps: peak_above_start("plain", steps) for steps in PLAIN}
    a_step = (plain[20] - plain[10]) / 10
    extrapolated = round(plain[20] + a_step * (MOST - 20))
    return {
        "what": "peak memory of one matching iteration, width 128, batch 100, float32",
        "curves": [
            {
                "title": "GB an iteration",
                "x": "student steps",
                "lines": {
                    "recursion": [(steps, peak / 1e9) for steps, peak in ours.items()],
                    "kept: 36 graphs of 80": [(MOST, kept / 1e9)],
                    "plain autograd": [(steps, peak / 1e9) for steps, peak in plain.items()],
                },
            }
        ],
        "figures": {
            "plain_at_80_extrapolated_from_10_and_20": extrapolated,
            f"recursion_{most}_over_5": ours[most] / ours[5],
            "plain_over_recursion_at_20": plain[20] / ours[20],
            "plain_over_kept_at_80": extrapolated / kept,
            "bytes_a_graph": {p: matching.bytes_a_graph(p) for p in ("float32", "bfloat16")},
        },
    }


def _peak() -> int:
    return _stated("VmHWM") or _highest()


def _resident() -> int:
    """What the process holds now; off Linux, the most that it has held so far."""
    return _stated("VmRSS") or _highest()


def _stated(what: str) -> int:
    """A size that Linux reports for this process, in bytes; 0 elsewhere. (Its `ru_maxrss` begins at
    that of the process which started this one.)"""
    if not STATUS.exists():
        return 0
    lines = STATUS.read_text(encoding="ascii", errors="replace").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{what}:"))


def _highest() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


if __name__ == "__main__":
    if sys.argv[1:2] == ["--one"]:
        print(iterate(sys.argv[2], **json.loads(sys.argv[3])))
    else:
        run({"memory": measure})
