"""One matching iteration of the published network, beside plain autograd with the same draws.

    python -m benchmarks.matching [--json] [--size small|full]

ConvNet of width 128 and depth 3 on 32×32 colour images, batch 100; the student takes 4 steps
(small) or 20 (full). Plain autograd works in float32. `rebuilt` keeps no graph, as where memory
is short; `kept` keeps all of these steps' graphs; `some` keeps the share of them that takes a
sixth of plain autograd's memory at 80 steps (benchmarks.memory measures that it does).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch

from benchmarks.alternation import TURNS, in_turn, ratios
from benchmarks.command_line import run
from benchmarks.plain import unrolled_gradient
from benchmarks.problem import Matching, made_ready, network, runtime
from datm_engine.compute.compilation import graph_size
from datm_engine.distillation.batches import Step
from datm_engine.distillation.sharding import build_graph
from datm_engine.training.losses import Gradient, student_gradient

STEPS = {"small": 4, "full": 20}
SIXTH = 36 / 80
WAYS: dict[str, dict[str, Any]] = {
    "plain": {},
    "eager_rebuilt": {"compiling": "off"},
    "float32_rebuilt": {"compiling": "on"},
    "float32_some": {"compiling": "on", "kept": SIXTH},
    "float32_kept": {"compiling": "on", "kept": 1.0},
    "bfloat16_rebuilt": {"compiling": "on", "precision": "bfloat16"},
    "bfloat16_kept": {"compiling": "on", "precision": "bfloat16", "kept": 1.0},
}
BRIEF = ("plain", "float32_some", "float32_kept", "bfloat16_kept")  # the ways of size "small"


def ready(
    way: str,
    *,
    steps: int,
    batch: int = 100,
    images: int = 100,
    width: int = 128,
    precision: str = "float32",
    compiling: str = "off",
    kept: float = 0.0,
    device: str = "cpu",
) -> Callable[[], object]:
    """What one turn does: an iteration. `kept`: the share of the steps whose graphs are kept."""
    on = runtime(precision, compiling, device)
    net = network(width, on)
    problem = Matching.of(net, steps, batch, images, on)
    if way == "plain":
        learned = vars(problem.learned).values()
        given = problem.start, problem.target, *learned, problem.steps
        return partial(unrolled_gradient, net, *given)
    gradient = made_ready(
        on, "student steps", student_gradient(net), partial(exercise, problem=problem)
    )

    return partial(problem.iterate, gradient, round(kept * steps))


def exercise(gradient: Gradient, problem: Matching, step: Step | None = None) -> None:
    """Both calls that an iteration makes, for the first step or a piece of one."""
    step = step or problem.steps[0]
    learned = problem.learned
    with torch.no_grad():
        gradient(problem.start, learned.images[step.indices], learned.labels[step.indices])
    graph = build_graph(gradient, problem.start, learned, step)
    torch.autograd.grad(graph.g, graph.leaves, problem.target)


def bytes_a_graph(precision: str = "float32", batch: int = 100, width: int = 128) -> int:
    """What one kept graph takes, compiled."""
    on = runtime(precision, "on")
    net = network(width, on)
    problem = Matching.of(net, 1, batch, batch, on)
    gradient = made_ready(
        on, "student steps", student_gradient(net), partial(exercise, problem=problem)
    )
    return graph_size(build_graph(gradient, problem.start, problem.learned, problem.steps[0]).g)


def measure(size: str) -> dict[str, Any]:
    chosen = WAYS if size == "full" else {way: WAYS[way] for way in BRIEF}
    ways = {way: {"steps": STEPS[size], **given} for way, given in chosen.items()}
    return {
        "what": f"one matching iteration, {STEPS[size]} student steps, width 128, batch 100",
        "ways": ratios(in_turn("benchmarks.matching", ways, TURNS[size]), "plain"),
    }


if __name__ == "__main__":
    run({"matching": measure})
