"""Peak memory of one matching iteration against student steps: the recursion and plain autograd.

    python -m benchmarks.memory [--json]

Every figure is the peak resident size of a process of its own, which only ever rises, less what
the process held before the iteration. Published network: ConvNet of width 128 and depth 3 on
32×32 colour images, batch 100. Plain autograd at 80 steps is extrapolated from 10 and 20, as it
would not fit most machines.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from typing import Any

import torch

from benchmarks.plain import unrolled_gradient
from datm_engine.data.augmentation import OPERATIONS, draw
from datm_engine.distillation.matching import (
    Step,
    meta_gradient,
    student_gradient,
    train_student,
)
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build
from datm_engine.runtime import generator

RECURSION, PLAIN = (5, 20, 80), (5, 10, 20)
EXTRAPOLATED = 80


def iterate(way: str, steps: int, width: int, batch: int) -> int:
    """One matching iteration in this process; by how much it raised the peak, in bytes."""
    draws = generator(0, "memory")
    module = build("convnet", channels=3, size=(32, 32), classes=10, width=width, depth=3, seed=0)
    network = FlatNetwork(module)
    start = network.initial()
    target = start + 0.01 * torch.randn(len(start), generator=draws)
    images = torch.randn(batch, 3, 32, 32, generator=draws)
    labels, syn_lr = torch.randn(batch, 10, generator=draws), torch.tensor(0.01)
    every = torch.arange(batch)
    augmentations = draw(list(OPERATIONS), [batch] * steps, draws)
    student_steps = [Step(every, augmentation) for augmentation in augmentations]
    before = _peak()
    if way == "plain":
        unrolled_gradient(network, start, target, images, labels, syn_lr, student_steps)
    else:
        gradient = student_gradient(network)
        student = train_student(gradient, start, target, images, labels, syn_lr, student_steps)
        meta_gradient(gradient, student, target, images, labels, syn_lr, student_steps)
    return _peak() - before


def measure(way: str, steps: int, width: int = 128, batch: int = 100) -> int:
    """The same in a fresh process."""
    command = [sys.executable, "-m", "benchmarks.memory", "--one", way, str(steps)]
    command += ["--width", str(width), "--batch", str(batch)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout)


def report(width: int = 128, batch: int = 100) -> dict[str, Any]:
    """Peaks in bytes by student steps, and the ratios that matter."""
    ours = {steps: measure("recursion", steps, width, batch) for steps in RECURSION}
    plain = {steps: measure("plain", steps, width, batch) for steps in PLAIN}
    a_step = (plain[20] - plain[10]) / 10
    extrapolated = round(plain[20] + a_step * (EXTRAPOLATED - 20))
    return {
        "network": f"ConvNet, width {width}, depth 3, 32×32, batch {batch}",
        "recursion": ours,
        "plain": plain,
        "plain_extrapolated": {EXTRAPOLATED: extrapolated},
        "recursion_80_over_5": ours[80] / ours[5],
        "plain_over_recursion_at_80": extrapolated / ours[80],
    }


def _peak() -> int:
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch", type=int, default=100)
    parser.add_argument("--one", nargs=2, metavar=("WAY", "STEPS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        print(iterate(options.one[0], int(options.one[1]), options.width, options.batch))
        return
    found = report(options.width, options.batch)
    if options.json:
        print(json.dumps(found))
        return
    print(f"peak memory of one matching iteration, GB ({found['network']})")
    print("steps   recursion   plain autograd")
    for steps in sorted({*RECURSION, *PLAIN}):
        ours, plain = found["recursion"].get(steps), found["plain"].get(steps)
        note = ""
        if plain is None and steps in found["plain_extrapolated"]:
            plain, note = found["plain_extrapolated"][steps], "  (extrapolated from 10 and 20)"
        shown = [f"{value / 1e9:.2f}" if value else "–" for value in (ours, plain)]
        print(f"{steps:5}   {shown[0]:>9}   {shown[1]:>14}{note}")
    print(f"recursion, 80 steps over 5: {found['recursion_80_over_5']:.2f}")
    print(f"plain over recursion at 80: {found['plain_over_recursion_at_80']:.1f}")


if __name__ == "__main__":
    main()
