"""What takes a GPU, in parts; see gpu.sh. One JSON object on stdout.

matching: an iteration of the published network at batch 1000, tf32 and bfloat16, beside plain
    autograd in tf32 on the same card; and what share of it the card waits for launches.
experts: seconds an epoch of CIFAR-10 (GSAM, batch 256, published network).
several: four networks trained at once, batched, beside one after the other.
settings: one iteration of the largest published settings, CIFAR-100 ipc 100 and Tiny-ImageNet
    ipc 50, on noise of their shapes, with its memory.
ipc1, ipc10: the published CIFAR-10 presets, but with ten experts of the window's epochs, as far as
    they come in `--minutes`, with the accuracy then reached; run again, each resumes.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmarks import experts, matching, several
from benchmarks.problem import Matching, made_ready, runtime
from datm_engine.compute.compilation import graph_size
from datm_engine.compute.runtime import generator
from datm_engine.data.augmentation import OPERATIONS, draw
from datm_engine.distillation.batches import Step
from datm_engine.distillation.learned import Learned
from datm_engine.distillation.sharding import build_graph
from datm_engine.networks.weights import FlatNetwork
from datm_engine.networks.zoo import build as build_network
from datm_engine.settings import presets
from datm_engine.settings.config import build
from datm_engine.training.losses import student_gradient

RESULTS = Path("gpu", "results.json")  # of all parts so far, however they were run
LARGEST = {"cifar100-ipc100": (100, 32), "tinyimagenet-ipc50": (200, 64)}


def median_seconds(turn: Callable[[], object], turns: int = 5) -> float:
    times = []
    for _ in range(turns):
        torch.cuda.synchronize()
        began = time.perf_counter()
        turn()
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure_matching() -> dict[str, Any]:
    """Iterations of 4 student steps, one way after the other on one card, which nobody shares."""
    common: dict[str, Any] = {"steps": 4, "batch": 1000, "images": 1000, "device": "cuda"}
    ways = {
        "plain_tf32": {"way": "plain", "precision": "tf32"},
        "tf32_rebuilt": {"way": "ours", "precision": "tf32", "compiling": "on"},
        "tf32_kept": {"way": "ours", "precision": "tf32", "compiling": "on", "kept": 1.0},
        "bfloat16_kept": {"way": "ours", "precision": "bfloat16", "compiling": "on", "kept": 1.0},
    }
    found: dict[str, Any] = {}
    for way, given in ways.items():
        torch.cuda.empty_cache()
        turn = matching.ready(**given, **common)
        turn()
        torch.cuda.reset_peak_memory_stats()
        seconds = median_seconds(turn)
        found[way] = {
            "seconds": seconds,
            "peak_bytes": torch.cuda.max_memory_allocated(),
            "busy_share": _busy_seconds(turn) / seconds,
        }
        found[way]["times_as_fast_as_plain"] = found["plain_tf32"]["seconds"] / seconds
    return found


def _busy_seconds(turn: Callable[[], object]) -> float:
    """How long kernels run in a turn: where that is all of its time, graphs would gain nothing."""
    activities = [torch.profiler.ProfilerActivity.CUDA]
    with torch.profiler.profile(activities=activities) as profile:
        turn()
        torch.cuda.synchronize()
    return sum(event.self_device_time_total for event in profile.key_averages()) / 1e6


def measure_experts() -> dict[str, Any]:
    found = {}
    for precision in ("tf32", "bfloat16"):
        settings: dict[str, Any] = {"precision": precision, "optimizer": "gsam"}
        turn = experts.ready("ours", steps=195, compiling="on", device="cuda", **settings)
        turn()
        found[precision] = {"seconds_an_epoch": median_seconds(turn, 3)}
    return found


def measure_several() -> dict[str, Any]:
    """Four networks' steps one after the other, and as one function of batched weights."""
    found: dict[str, Any] = {}
    for stage in several.STAGES:
        for width in several.WIDTHS["full"]:
            for way in ("one_by_one", "batched"):
                turn = several.ready(way, stage=stage, width=width, device="cuda")
                turn()
                found[f"{stage} {width} {way}"] = {"seconds": median_seconds(turn, 5)}
    return found


def measure_settings() -> dict[str, Any]:
    """The first iteration compiles; the second is timed."""
    return {name: _measure_setting(name, *shape) for name, shape in LARGEST.items()}


def _measure_setting(name: str, classes: int, size: int) -> dict[str, Any]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    config = build(presets.load(name), name)
    settings, on, draws = config.distill, runtime("tf32", "on", "cuda"), generator(0, name)
    module = build_network(
        "convnet", channels=3, size=(size, size), classes=classes, seed=0,
        width=config.network.width, depth=config.network.depth, norm=config.network.norm,
    )  # fmt: skip
    network = FlatNetwork(module.to(on.device), on.compute)
    start, count = network.initial(), settings.ipc * classes
    target = start + 0.01 * torch.randn(len(start), generator=draws).to(on.device)
    images = torch.randn(count, 3, size, size, generator=draws).to(on.device)
    labels = torch.randn(count, classes, generator=draws).to(on.device)
    rate = torch.tensor(settings.syn_lr, device=on.device)
    batch = settings.batch_syn
    order = torch.randint(count, (settings.syn_steps * batch,), generator=draws)
    batches = order.to(on.device).split(batch)
    augmentations = draw(list(OPERATIONS), [batch] * len(batches), draws, on.device)
    steps = [Step(b, a) for b, a in zip(batches, augmentations, strict=True)]
    problem = Matching(start, target, Learned(images, labels, rate), steps)
    gradient = made_ready(
        on,
        "student steps",
        student_gradient(network),
        partial(matching.exercise, problem=problem),
    )
    size_of_one = graph_size(build_graph(gradient, start, problem.learned, steps[0]).g)
    keep = min(len(steps), torch.cuda.mem_get_info()[0] // 2 // size_of_one)
    times = []
    for _ in range(2):
        torch.cuda.synchronize()
        began = time.perf_counter()
        problem.iterate(gradient, keep)
        torch.cuda.synchronize()
        times.append(time.perf_counter() - began)
    return {
        "seconds_an_iteration": times[-1],
        "steps": len(steps),
        "kept": keep,
        "peak_bytes": torch.cuda.max_memory_allocated(),
    }


def distil(folder: str, ipc: int, minutes: float) -> dict[str, Any]:
    """For so long; then the accuracy of what there is."""
    name, places = f"gpu-ipc{ipc}", ["--runs-dir", "gpu/runs", "--experts-dir", "gpu/experts"]
    command = [sys.executable, "-m", "datm_cli", "distill", "--json", "--device", "cuda", *places]
    if Path("gpu/runs", name).exists():
        command += ["--resume", name]
    else:
        command += ["--dataset", folder, "--preset", f"cifar10-ipc{ipc}", "--name", name]
        command += ["--set", "experts.count=10", "--set", "experts.epochs=window"]
        command += ["--set", 'evaluate.against=["random"]', "--set", "evaluate.repeats=3"]
    began = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        process.wait(60 * minutes)
    except subprocess.TimeoutExpired:
        process.terminate()  # it saves a checkpoint and ends
    output, _ = process.communicate()
    outcome = json.loads(output)
    evaluated = subprocess.run(
        [sys.executable, "-m", "datm_cli", "evaluate", name, "--runs-dir", "gpu/runs", "--json",
         "--device", "cuda", "--repeats", "3", "--against", "none"],
        stdout=subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    results = json.loads(evaluated.stdout).get("results") if evaluated.stdout else None
    return {**outcome, "results": results, "seconds": time.monotonic() - began}


def main() -> None:
    parser = argparse.ArgumentParser(description="What takes a GPU.")
    parser.add_argument("folder", help="CIFAR-10 as class folders")
    parser.add_argument("parts", nargs="*", metavar="PART")
    parser.add_argument("--minutes", type=float, default=60, help="of ipc1 and of ipc10")
    options = parser.parse_args()
    if not torch.cuda.is_available():
        sys.exit("benchmarks.gpu: this machine has no GPU that torch can use")
    parts: dict[str, Callable[[], dict[str, Any]]] = {
        "matching": measure_matching,
        "experts": measure_experts,
        "several": measure_several,
        "settings": measure_settings,
        "ipc1": lambda: distil(options.folder, 1, options.minutes),
        "ipc10": lambda: distil(options.folder, 10, options.minutes),
    }
    if unknown := set(options.parts) - set(parts):
        parser.error(f"{', '.join(sorted(unknown))}: not one of {', '.join(parts)}")
    found = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    found |= {"device": torch.cuda.get_device_name(), "torch": torch.__version__}
    for name in options.parts or parts:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        try:
            found[name] = parts[name]()
        except Exception as problem:  # reported; the other parts stand
            found[name] = {"error": f"{type(problem).__name__}: {problem}"}
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(json.dumps(found), encoding="utf-8")
    print(json.dumps(found))
    if failed := [name for name in options.parts or parts if "error" in found[name]]:
        sys.exit(f"benchmarks.gpu: failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
