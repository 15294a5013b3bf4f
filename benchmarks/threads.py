"""Threads on a machine that has other work: beside no, one and two busy processes.

    python -m benchmarks.threads [--json] [--size small|full]

`demo`: the demo's run, `datm distill` on digits with its experts on disk, as a command: with the
number of threads that datm chooses, and with a thread for each core that spins as OpenMP does by
default. `waiting`: a student's step forward and backward with two threads, on 32×32 images, by how
threads wait for each other: spinning as by default, for a set number of rounds, or not at all.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.problem import CLASSES, network, runtime
from datm_engine.compute.runtime import generator
from datm_engine.compute.threads import SPIN_COUNT, SPIN_VARIABLES
from datm_engine.data.augmentation import Draw
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import build_graph
from datm_engine.training.losses import student_gradient

BUSY = (0, 1, 2)
POLICIES: Mapping[str, Mapping[str, str]] = {
    "default": {},
    **{f"{count:,} rounds": {"GOMP_SPINCOUNT": str(count)} for count in (1_000, 10_000, 100_000)},
    "passive": {"OMP_WAIT_POLICY": "passive"},
}
STEPS = {"width 32, 10 images": (32, 10, 60), "width 128, 10 images": (128, 10, 10)}
ITERATIONS = {"small": 50, "full": 200}


@contextmanager
def busy(count: int) -> Iterator[None]:
    """`count` other processes that compute without end."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def plain_environment() -> dict[str, str]:
    """Without what sets the number of threads or how they wait."""
    left_out = {*SPIN_VARIABLES, "OMP_NUM_THREADS"}
    return {name: value for name, value in os.environ.items() if name not in left_out}


def ready(way: str, *, width: int, images: int, steps: int) -> Callable[[], object]:
    """What one turn does: `steps` times the forward and the backward pass of a student's step."""
    torch.set_num_threads(2)
    net = network(width, runtime("float32", "off"))
    draws = generator(0, "threads")
    x = torch.randn(images, 3, 32, 32, generator=draws)
    y = torch.randn(images, CLASSES, generator=draws)
    theta, step = net.initial(), Step(torch.arange(images), Draw(None, x))
    gradient, learned = student_gradient(net), Learned(x, y, torch.tensor(0.01))

    def turn() -> None:
        for _ in range(steps):
            graph = build_graph(gradient, theta, learned, step)
            torch.autograd.grad(graph.g, graph.leaves, theta)

    return turn


def measure_waiting(size: str) -> dict[str, Any]:
    """Policies of waiting, by the number of busy processes and the step."""
    found: dict[str, Any] = {}
    environments = {way: {**plain_environment(), **own} for way, own in POLICIES.items()}
    for name, (width, images, steps) in STEPS.items():
        given = {"width": width, "images": images, "steps": steps}
        for count in BUSY:
            with busy(count):
                ways = dict.fromkeys(POLICIES, given)
                timings = in_turn("benchmarks.threads", ways, TURNS[size], environments)
            for way, timing in ratios(timings, "default").items():
                found[f"{name}, {count} busy, {way}"] = timing
    return {"what": f"two threads by how they wait (datm: {SPIN_COUNT:,} rounds)", "ways": found}


def measure_demo(size: str) -> dict[str, Any]:
    """The demo's run as a command: seconds, and how many times as long as alone."""
    cores = {**plain_environment(), "OMP_NUM_THREADS": str(os.cpu_count())}
    environments = {
        "datm's choice": plain_environment(),
        "a thread a core, spinning": {**cores, "GOMP_SPINCOUNT": "300000"},  # libgomp's default
    }
    figures: dict[str, str] = {}
    with tempfile.TemporaryDirectory() as folder:
        _distill(Path(folder), "first", size, plain_environment())  # trains the experts
        for way, environment in environments.items():
            alone = 0.0
            for count in BUSY:
                with busy(count):
                    seconds = _distill(Path(folder), f"{way}-{count}", size, environment)
                alone = alone or seconds
                figures[f"{way}, {count} busy"] = f"{seconds:.1f} s, {seconds / alone:.2f}×"
    return {"what": "datm distill on digits beside busy processes", "figures": figures}


def _distill(folder: Path, name: str, size: str, environment: Mapping[str, str]) -> float:
    """Seconds of the whole command."""
    command = [sys.executable, "-m", "datm_cli", "distill", "--dataset", "digits", "--ipc", "1"]
    command += ["--name", name.replace("'", "").replace(",", ""), "--quiet", "--no-tui"]
    command += ["--iterations", str(ITERATIONS[size]), "--device", "cpu"]
    command += ["--runs-dir", str(folder / "runs"), "--experts-dir", str(folder / "experts")]
    began = time.monotonic()
    subprocess.run(command, env=environment, check=True, capture_output=True)
    return time.monotonic() - began


if __name__ == "__main__":
    run({"demo": measure_demo, "waiting": measure_waiting})
