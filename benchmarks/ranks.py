"""Two ranks of one thread beside one rank of one and of two threads; and what ranks say to each
other.

    python -m benchmarks.ranks [--json] [--size small|full]

Measured: a matching iteration of the published network as in `benchmarks.matching`, compiled, in
float32, with no graph kept, at several batches; and `sums`, all-reductions of its weights alone,
by gloo between two processes. What the model expects of two ranks stands beside: a step of n images
takes c·n/R on R ranks, where c is seconds an image on one of them, and the time of its two sums.

Reckoned, from nominal figures of links that are not here: the time of these sums,

    2 (2 (R − 1) · latency + 2 (R − 1)/R · bytes/bandwidth),   bytes = 4 · weights,

of ∇ℓ on the way forward and of ∂s/∂θ on the way back, each in a ring.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.matching import STEPS, exercise
from benchmarks.problem import Matching, made_ready, network, runtime
from datm_engine.compute import ranks
from datm_engine.compute.ranks import RankLost, Ranks
from datm_engine.distillation.sharding import Sharding
from datm_engine.training.losses import student_gradient

WAYS = {"one_rank": 2, "one_thread": 1, "two_ranks": 1}  # threads of each of its processes
BATCHES = {"small": (10, 100), "full": (10, 50, 100, 250)}
SUMS = 200  # a turn
# Nominal: seconds until a message arrives, bytes a second.
LINKS = {"10 GbE": (5e-5, 1.25e9), "InfiniBand HDR": (5e-6, 2.5e10), "NVLink": (5e-6, 4.5e11)}
WEIGHTS = {"CIFAR-10": 320_010, "CIFAR-100": 504_420, "Tiny-ImageNet": 857_160}
EFFICIENT = 0.8  # of R ranks' work


def ready(
    way: str, *, steps: int, batch: int, threads: int, width: int = 128
) -> Callable[[], object]:
    """What one turn does; a second rank is started where there is one."""
    torch.set_num_threads(threads)
    if way in ("one_rank", "one_thread"):
        return iteration(ranks.ALONE, steps, batch, width)
    given = json.dumps({"way": way, "steps": steps, "batch": batch, "width": width})
    stated = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port())}
    os.environ.update(stated, RANK="0")
    command = [sys.executable, "-m", "benchmarks.ranks", "--follow", given]
    own = {"RANK": "1", "OMP_NUM_THREADS": "1"}
    own["TORCH_CPP_LOG_LEVEL"] = "ERROR"  # that the first one ends is no news
    subprocess.Popen(command, env={**os.environ, **own})
    return together(ranks.join(), **json.loads(given))


def together(both: Ranks, way: str, steps: int, batch: int, width: int) -> Callable[[], object]:
    """A turn that begins on both ranks at once."""
    if way == "sums":
        turn = partial(sums, both, network(width, runtime("float32", "off")).initial())
    else:
        turn = iteration(both, steps, batch, width)

    def at_once() -> object:
        both.first(lambda: None)
        return turn()

    return at_once


def iteration(among: Ranks, steps: int, batch: int, width: int) -> Callable[[], object]:
    on = runtime("float32", "on")
    net, sharding = network(width, on), Sharding(among)
    problem = Matching.of(net, steps, batch, batch, on)
    (piece,) = sharding.pieces(problem.steps[0])
    gradient = made_ready(
        on, "student steps", student_gradient(net), partial(exercise, problem=problem, step=piece)
    )
    return partial(problem.iterate, gradient, 0, sharding)


def sums(among: Ranks, theta: Tensor) -> object:
    return [among.sum(theta) for _ in range(SUMS)]


def seconds_of_sums(weights: int, count: int, link: str) -> float:
    """For one student step."""
    latency, bandwidth = LINKS[link]
    return 2 * (2 * (count - 1) * latency + 2 * (count - 1) / count * 4 * weights / bandwidth)


def measure(size: str) -> dict[str, Any]:
    steps, turns = STEPS[size], TURNS[size]
    alone = in_turn("benchmarks.ranks", {"sums": {"steps": 0, "batch": 0, "threads": 1}}, turns)
    of_a_step = 2 * alone["sums"].seconds / SUMS
    ways: dict[str, Any] = {}
    figures: dict[str, float] = {
        "bytes_summed_a_step": 8 * WEIGHTS["CIFAR-10"],
        "measured: ms of sums a step": 1e3 * of_a_step,
    }
    for batch in BATCHES[size]:
        given = {
            way: {"steps": steps, "batch": batch, "threads": count} for way, count in WAYS.items()
        }
        timings = in_turn("benchmarks.ranks", given, turns)
        ways |= {f"{way}, {batch}": ratio for way, ratio in ratios(timings, "one_thread").items()}
        expected = timings["one_thread"].seconds / 2 + steps * of_a_step
        figures[f"expected: seconds of two_ranks, {batch}"] = expected
    for link in LINKS:
        for count in (2, 8, 64):
            spent = seconds_of_sums(WEIGHTS["CIFAR-10"], count, link)
            # A step of T seconds on one rank is used so well where T / (T + R · sums) is.
            least = EFFICIENT / (1 - EFFICIENT) * count * spent
            figures[f"reckoned: {link}, {count} ranks, ms of sums a step"] = 1e3 * spent
            figures[f"reckoned: {link}, {count} ranks, least ms of a step on one"] = 1e3 * least
    return {
        "what": f"one matching iteration, {steps} student steps, width 128; way, batch",
        "ways": ways,
        "figures": figures,
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _follow(given: dict[str, Any]) -> None:
    torch.set_num_threads(1)
    turn = together(ranks.join(), **given)
    try:
        while True:
            turn()
    except RankLost:  # the one that leads has ended
        pass


if __name__ == "__main__":
    if sys.argv[1:2] == ["--follow"]:
        _follow(json.loads(sys.argv[2]))
    else:
        run({"ranks": measure})
