"""Ways of doing one thing, timed in turn: each in a process of its own that is made ready once.

Taking turns spreads whatever else the machine does over all of them alike; so ratios hold where
times do not. A process reads a line for every turn and answers with its seconds.
"""

from __future__ import annotations

import importlib
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

TURNS = {"small": 3, "full": 5}


@dataclass(frozen=True)
class Timing:
    """Of one way: seconds a turn, the median over the turns; the highest resident size of its
    process in bytes; how long making it ready took, compilation included."""

    seconds: float
    turns: list[float]
    peak_bytes: int
    ready_seconds: float


def in_turn(
    module: str,
    ways: Mapping[str, Mapping[str, Any]],
    turns: int,
    environments: Mapping[str, Mapping[str, str]] | None = None,
) -> dict[str, Timing]:
    """Way → timing. `module` has `ready(way, **settings)`, which returns what a turn calls;
    `ways` gives each way's settings, `environments` the variables of its process."""
    own = environments or {}
    processes = {way: _start(module, way, dict(given), own.get(way)) for way, given in ways.items()}
    try:
        ready = {way: float(_answer(process, "ready")) for way, process in processes.items()}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(turns):
            for way, process in processes.items():
                times[way].append(float(_answer(process, "turn")))
        peaks = {way: int(_answer(process, "peak")) for way, process in processes.items()}
    finally:
        for process in processes.values():
            process.kill()
            process.wait()
    return {
        way: Timing(statistics.median(times[way]), times[way], peaks[way], ready[way])
        for way in ways
    }


def ratios(timings: Mapping[str, Timing], against: str) -> dict[str, Any]:
    """What a report says: each way's timing, and how many times as fast as `against` it is."""
    base = timings[against].seconds
    return {
        way: {**asdict(timing), f"times_as_fast_as_{against}": base / timing.seconds}
        for way, timing in timings.items()
    }


def _start(
    module: str, way: str, settings: dict[str, Any], environment: Mapping[str, str] | None
) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "benchmarks.alternation", module, way, json.dumps(settings)]
    return subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=sys.stderr,
        text=True,
        env=environment,
    )


def _answer(process: subprocess.Popen[str], question: str) -> str:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(question + "\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise RuntimeError(f"{' '.join(map(str, process.args))} ended with {process.wait()}")
    return answer


def _serve(module: str, way: str, settings: dict[str, Any]) -> None:
    turn = None
    for line in sys.stdin:
        began = time.perf_counter()
        match line.strip():
            case "ready":
                turn = importlib.import_module(module).ready(way, **settings)
                turn()
            case "turn":
                assert turn is not None
                turn()
            case "peak":
                unit = 1 if sys.platform == "darwin" else 1024
                print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit, flush=True)
                continue
        print(time.perf_counter() - began, flush=True)


if __name__ == "__main__":
    _serve(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
